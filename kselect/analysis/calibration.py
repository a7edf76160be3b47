"""Calibration of a classifier, and the temperature that improves it most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from kselect.analysis.predictions import Floats, Predictions
from kselect.distillation.calibration import COLDEST, HOTTEST, calibration_error
from kselect.stats import Estimate

HISTOGRAM_BINS = 10
BOUNDS = (COLDEST, HOTTEST)  # of the temperature
NEAR = 1e-2  # of a bound, in the logarithm
ROUNDING = 1e-12  # of a loss: a smaller difference between two of them is rounding


@dataclass(frozen=True)
class TemperatureFit:
    """The temperature that minimises the loss.

    Attributes:
        value: The temperature.
        loss_before: Mean loss at temperature 1, in nats.
        loss_after: Mean loss at this temperature, in nats.
    """

    value: float
    loss_before: float
    loss_after: float

    @property
    def bounded(self) -> bool:
        """Whether it is an end of the range that is searched, as where every prediction is correct."""
        return min(abs(np.log(self.value / end)) for end in BOUNDS) < NEAR


def best_temperature(predictions: Predictions) -> TemperatureFit:
    """Find the temperature that makes gold labels most likely (temperature scaling, Guo et al. 2017).

    The loss is convex in 1 / T, so that a bounded search finds its only minimum. Where the loss is flat, as it is at 0
    where every prediction is correct, the end of the range that is as good is returned.
    """

    def loss(log_temperature: float) -> float:
        return float(predictions.losses(float(np.exp(log_temperature))).mean())

    bounds = (np.log(BOUNDS[0]), np.log(BOUNDS[1]))
    minimum = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    end = min(bounds, key=loss)
    best = end if loss(end) <= minimum.fun + ROUNDING * max(1.0, minimum.fun) else float(minimum.x)
    return TemperatureFit(float(np.exp(best)), loss(0.0), loss(best))


def overconfidence_slope(predictions: Predictions, temperature: float = 1.0) -> Estimate:
    """Estimate how fast the loss falls as the temperature rises, d loss / d log(1 / T) at scale T.

    It is the mean over positions of the expected score under p less the score of the gold class, with p at
    `temperature`. Above 0 the classifier is overconfident at that temperature, below 0 underconfident. Unlike the loss
    at the best temperature it involves no fit to the labels.
    """
    expected = (np.exp(predictions.log_probabilities(temperature)) * predictions.logits).sum(1)
    return predictions.mean(expected - predictions.gold_values(predictions.logits))


@dataclass(frozen=True)
class CalibrationSummary:
    """Accuracy, confidence and calibration on one split, at temperature 1.

    Attributes:
        confidence: Mean probability of the prediction.
        entropy: Mean entropy divided by log K.
        gold_probability: Mean probability of the gold class.
        loss: Mean cross-entropy in nats.
        calibration_error: See `calibration_error`.
        adaptive_calibration_error: The same with bins of equal size.
        confidence_histogram: Share of positions in each tenth of [0, 1].
        entropy_histogram: Share of positions in each tenth of [0, 1].
    """

    positions: int
    accuracy: Estimate
    confidence: float
    entropy: float
    gold_probability: float
    loss: float
    calibration_error: float
    adaptive_calibration_error: float
    confidence_histogram: tuple[float, ...]
    entropy_histogram: tuple[float, ...]

    @staticmethod
    def of(predictions: Predictions) -> CalibrationSummary:
        """Measure predictions."""
        return CalibrationSummary(
            positions=len(predictions),
            accuracy=predictions.mean(predictions.correct),
            confidence=float(predictions.confidence.mean()),
            entropy=float(predictions.entropy.mean()),
            gold_probability=float(predictions.gold_probability().mean()),
            loss=float(predictions.losses().mean()),
            calibration_error=calibration_error(predictions.confidence, predictions.correct),
            adaptive_calibration_error=calibration_error(predictions.confidence, predictions.correct, adaptive=True),
            confidence_histogram=histogram(predictions.confidence),
            entropy_histogram=histogram(predictions.entropy),
        )


def histogram(values: Floats, bins: int = HISTOGRAM_BINS) -> tuple[float, ...]:
    """Return the share of `values [N]` in each of `bins` equal parts of [0, 1]; the last includes 1."""
    counts, _ = np.histogram(np.clip(values, 0.0, 1.0), bins=bins, range=(0.0, 1.0))
    return tuple((counts / len(values)).tolist())
