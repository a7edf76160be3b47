"""Values of the phases of a run, averaged over equal parts of it, such as its quarters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
QUARTERS = 4


def by_part(values: Floats, steps: NDArray[Any], parts: int = QUARTERS) -> Floats:
    """Average values of phases over equal parts of a run, in which each training step counts alike.

    Args:
        values: `[p, k]`.
        steps: Training steps of each phase, `[p]`; one may lie in several parts.
        parts: Number of parts.

    Returns:
        `[k, parts]`.
    """
    means: Floats = values.T @ overlap(steps, parts)
    return means


def overlap(steps: NDArray[Any], parts: int) -> Floats:
    """Return the share of each phase in each part of a run, `[p, parts]`; those in a part add up to 1."""
    ends = np.cumsum(steps) / steps.sum()
    starts, edges = np.concatenate([[0.0], ends[:-1]]), np.linspace(0.0, 1.0, parts + 1)
    overlap = np.minimum(ends[:, None], edges[1:]) - np.maximum(starts[:, None], edges[:-1])
    shares: Floats = np.clip(overlap, 0.0, None) * parts
    return shares
