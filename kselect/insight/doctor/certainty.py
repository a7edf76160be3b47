"""How sure a teacher is on a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kselect.insight.doctor.calibration import calibration_error
from kselect.insight.doctor.estimate import Estimate
from kselect.insight.sample import Floats, Sample

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
