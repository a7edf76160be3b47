"""A mean, and how far it may be off by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

CONFIDENCE = 0.95
ROUNDING = 1e-9  # of a mean: an error below this is the arithmetic's, not chance's


@dataclass(frozen=True)
class Estimate:
    """A mean over places and its standard error, in the unit of what was averaged.

    The error of a single example is not known, and is NaN.
    """

    value: float
    error: float
    examples: int
    """How many the places are of, G."""
    bound: float = math.inf
    """What the value of a place is at most, above 0 or below: 1 for shares and their differences."""

    @staticmethod
    def of(values: NDArray[np.float64], examples: NDArray[np.int64], bound: float = math.inf) -> Estimate:
        """Average `values [N]`; those of one example, by `examples [N]`, are not taken for independent.

        The error is that of a ratio of sums over examples (Cochran 1977, Sampling Techniques, chapter 6), with G - 1
        in place of G; where each value is of an example of its own, it is the standard deviation over the root of N.
        """
        mean = float(values.mean())
        _, owner = np.unique(examples, return_inverse=True)
        deviations = np.bincount(owner, weights=values - mean)
        count = len(deviations)
        scale = math.sqrt(count / (count - 1)) if count > 1 else math.nan
        return Estimate(mean, scale * float(np.sqrt((deviations**2).sum())) / len(values), count, bound)

    @property
    def margin(self) -> float:
        """Half the width of the interval that covers the true mean with 95 %, by Student's t of G - 1.

        Infinite for a single example. Values that no example had, if a share p of examples has them, are missed by all
        of G with probability (1 - p)^G, which limits p, and so what they do to the mean of what is bounded: it is that
        at least. Where all fell on the same value of what is not bounded, no noise is to be seen, and it is infinite.
        """
        if self.examples < 2:
            return math.inf
        seen = float(student_t.ppf((1 + CONFIDENCE) / 2, self.examples - 1)) * self.error
        unseen = (self.bound + abs(self.value)) * (1 - ((1 - CONFIDENCE) / 2) ** (1 / self.examples))
        if math.isinf(self.bound):
            return seen if self.error > ROUNDING * abs(self.value) else math.inf
        return max(seen, unseen)

    @property
    def above_zero(self) -> bool:
        """Whether it is above 0 by more than chance: all of the interval is."""
        return self.value > self.margin

    @property
    def below_zero(self) -> bool:
        """Whether it is below 0 by more than chance."""
        return self.below(0.0)

    def below(self, limit: float) -> bool:
        """Return whether it is below a limit by more than chance: what is not above 0 may still be anything."""
        return self.value + self.margin < limit
