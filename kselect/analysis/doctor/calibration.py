"""Whether a teacher is as sure as it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from kselect.analysis.predictions import Floats, Sample
from kselect.stats import ClusteredEstimate as Estimate

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0
NEAR = 1e-2  # of a bound, in the logarithm
ROUNDING = 1e-12  # of a loss, by which two of them differ by arithmetic alone


def calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS, adaptive: bool = False) -> float:
    """Return the mean over bins, by their sizes, of |accuracy - mean confidence|, in [0, 1] (ECE).

    Bins are `bins` equal parts of (0, 1], each with its upper end (Guo et al. 2017, eq. 3); or, `adaptive`, as many
    parts of equal size in the order of confidence (Nguyen and O'Connor 2015).

    Args:
        confidence: probability of each answer, `[N]`.
        right: whether it is right, `[N]`.
        bins: how many.
        adaptive: whether bins have equal sizes.
    """
    gap = right - confidence
    if adaptive:
        parts = np.array_split(gap[np.argsort(confidence, kind="stable")], min(bins, len(gap)))
        return float(sum(abs(part.sum()) for part in parts) / len(gap))
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(bin_of, weights=gap, minlength=bins)).sum() / len(gap))


@dataclass(frozen=True)
class Temperature:
    """What scores are to be divided by, and the mean loss before and after, in nats."""

    value: float
    loss_before: float
    loss_after: float

    @property
    def bounded(self) -> bool:
        """Whether it is an end of the range that was searched: there is no best one."""
        return min(abs(np.log(self.value / end)) for end in (COLDEST, HOTTEST)) < NEAR


def oversureness(sample: Sample, temperature: float = 1.0) -> Estimate:
    """Return the mean over places of the score that p expects less that of the gold class, p at `temperature`.

    It is how fast the loss falls as the temperature rises: above 0 where flatter probabilities suit the labels better,
    below 0 where sharper ones do. Unlike the loss at the best temperature it is of no fit to the same labels.
    """
    expected = (np.exp(sample.log_probabilities(temperature)) * sample.logits).sum(1)
    return Estimate.of(expected - sample.of_gold(sample.logits), sample.examples)


def best_temperature(sample: Sample) -> Temperature:
    """Find the temperature that makes gold labels most likely (temperature scaling: Guo et al. 2017).

    The loss is convex in 1 / T, so a search in one dimension finds the only minimum, or ends somewhere where the loss
    is flat, as it is at 0 where every answer is right: then the end of the range that is as good is taken.
    """

    def loss(log_temperature: float) -> float:
        return float(sample.losses(float(np.exp(log_temperature))).mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    end = min(bounds, key=loss)
    best = end if loss(end) <= found.fun + ROUNDING * max(1.0, found.fun) else float(found.x)
    return Temperature(float(np.exp(best)), loss(0.0), loss(best))


BARS = 10


@dataclass(frozen=True)
class Certainty:
    """Means over the places of a split: shares in [0, 1], the loss in nats.

    confidence: probability of the answer. entropy: over log K. gold_probability: of the gold class. Errors of
    calibration are those of `calibration_error`.
    """

    places: int
    accuracy: Estimate
    confidence: float
    entropy: float
    gold_probability: float
    loss: float
    calibration_error: float
    adaptive_calibration_error: float
    confidence_shares: tuple[float, ...]
    """Share of places whose confidence lies in each tenth of [0, 1]."""
    entropy_shares: tuple[float, ...]

    @staticmethod
    def of(sample: Sample) -> Certainty:
        """Measure it on a sample."""
        return Certainty(
            places=len(sample),
            accuracy=Estimate.of(sample.right.astype(np.float64), sample.examples),
            confidence=float(sample.confidence.mean()),
            entropy=float(sample.entropy.mean()),
            gold_probability=float(sample.of_gold(sample.probabilities).mean()),
            loss=float(sample.losses().mean()),
            calibration_error=calibration_error(sample.confidence, sample.right),
            adaptive_calibration_error=calibration_error(sample.confidence, sample.right, adaptive=True),
            confidence_shares=shares(sample.confidence),
            entropy_shares=shares(sample.entropy),
        )


def shares(values: Floats, bars: int = BARS) -> tuple[float, ...]:
    """Return the share of `values [N]` in each of `bars` equal parts of [0, 1]; the last has its upper end."""
    counts, _ = np.histogram(np.clip(values, 0.0, 1.0), bins=bars, range=(0.0, 1.0))
    return tuple((counts / len(values)).tolist())
