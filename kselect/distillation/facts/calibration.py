"""Calibration of a classifier's probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS, adaptive: bool = False
) -> float:
    """Return the expected calibration error, in [0, 1].

    It is the mean over bins, weighted by their sizes, of |accuracy - mean confidence|. Bins are equal parts of (0, 1],
    each with its upper end (Guo et al. 2017, eq. 3), or `adaptive`: parts of equal size in the order of confidence
    (Nguyen and O'Connor 2015).

    Args:
        confidence: Probability of each prediction, `[N]`.
        correct: Whether each prediction is correct, `[N]`.
        bins: Number of bins.
        adaptive: Whether bins have equal sizes.
    """
    gap = correct - confidence
    if adaptive:
        parts = np.array_split(gap[np.argsort(confidence, kind="stable")], min(bins, len(gap)))
        return float(sum(abs(part.sum()) for part in parts) / len(gap))
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(bin_of, weights=gap, minlength=bins)).sum() / len(gap))
