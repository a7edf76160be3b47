"""A mean, and how far it may be off by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLEAR = 2.0  # standard errors


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error, in the unit of what was averaged."""

    value: float
    error: float

    @staticmethod
    def of(values: NDArray[np.float64], examples: NDArray[np.int64]) -> Estimate:
        """Average `values [N]`; those of one example, by `examples [N]`, are not taken for independent.

        The error is that of a ratio of sums over examples (Cochran 1977, Sampling Techniques, chapter 6); where each
        value is of an example of its own, it is the deviation over the root of N.
        """
        mean = float(values.mean())
        _, owner = np.unique(examples, return_inverse=True)
        deviations = np.bincount(owner, weights=values - mean)
        return Estimate(mean, float(np.sqrt((deviations**2).sum())) / len(values))

    @property
    def above_zero(self) -> bool:
        """Whether it is above 0 by more than chance: by 2 standard errors."""
        return self.value > CLEAR * self.error

    @property
    def below_zero(self) -> bool:
        """Whether it is below 0 by more than chance."""
        return self.below(0.0)

    def below(self, limit: float) -> bool:
        """Return whether it is below a limit by more than chance: what is not above 0 may still be anything."""
        return self.value + CLEAR * self.error < limit
