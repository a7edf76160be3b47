"""A Bayesian linear regression that learns which blocks of its features matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

SCALES = np.array([1e-4, 0.1, 1.0, 30.0])
"""The prior variances that a block may have, in units of the noise variance; at the first one it is all but absent."""
ABSENT, INITIAL = 0, 2
RELATIVE_FLOOR, ABSOLUTE_FLOOR = 1e-6, 1e-30


class BlockRegression:
    """Regression `y = x @ coefficients + noise`, with one prior variance for each block of coefficients.

    Given the scales s, a coefficient of block b is `N(0, s_b * variance)`, where the variance of the noise has the
    prior 1 / variance. The posterior is then exact (normal-inverse-gamma; Bishop 2006, "Pattern recognition and machine
    learning", exercise 3.12), and neither the unit of y nor its size matters. The scales are sampled from their
    marginal likelihood on the grid `SCALES`, one after the other (Gibbs sampling): the coefficients of a block that
    explains nothing vanish. Only sums over the observations are kept.

    Args:
        blocks: `[d]`, the block of each feature, numbered from 0.
        optional: The blocks that may well be absent; of the others, all scales are equally likely beforehand.

    Attributes:
        gram: `[d, d]`, sum of `x x^T`.
        moment: `[d]`, sum of `x y`.
        squares: Sum of `y^2`.
        count: Number of observations.
        levels: `[b]`, the index in `SCALES` of each block's scale.
    """

    def __init__(self, blocks: Sequence[int] | NDArray[np.integer], optional: Sequence[int] = ()) -> None:
        self.blocks = np.asarray(blocks)
        self.optional = frozenset(optional)
        size = len(self.blocks)
        self.gram, self.moment = np.zeros((size, size)), np.zeros(size)
        self.squares, self.count = 0.0, 0
        self.levels = np.full(int(self.blocks.max()) + 1, INITIAL)

    def add(self, features: Floats, target: float) -> None:
        """Include an observation of features `[d]`."""
        self.gram += np.outer(features, features)
        self.moment += features * target
        self.squares += target * target
        self.count += 1

    def sample_levels(self, rng: np.random.Generator, presence: float) -> None:
        """Sample the scale of each block once, given those of the others.

        Args:
            rng: Source of randomness.
            presence: Prior probability that an optional block is not absent.
        """
        prior = np.full(len(SCALES), np.log(presence / (len(SCALES) - 1)))
        prior[ABSENT] = np.log1p(-presence)
        for block in range(len(self.levels)):
            log_odds = prior.copy() if block in self.optional else np.zeros(len(SCALES))
            for level in range(len(SCALES)):
                self.levels[block] = level
                log_odds[level] += self.log_evidence()
            odds = np.exp(log_odds - log_odds.max()).cumsum()
            self.levels[block] = np.searchsorted(odds, rng.random() * odds[-1], side="right")

    def log_evidence(self) -> float:
        """Return the logarithm of the marginal likelihood of the scales, up to a constant."""
        factor = self._factor().diagonal()
        precisions = np.log(self._precisions()).sum()
        return float(0.5 * precisions - np.log(factor[:-1]).sum() - self.count * np.log(factor[-1]))

    def mean(self) -> Floats:
        """Return the posterior mean of the coefficients, `[d]`, given the scales."""
        factor = self._factor()
        return np.linalg.solve(factor[:-1, :-1].T, factor[-1, :-1])

    def draw(self, rng: np.random.Generator) -> Floats:
        """Sample the coefficients `[d]` from their posterior given the scales; without observations, at noise 1."""
        factor = self._factor()
        deviation = factor[-1, -1] / np.sqrt(rng.chisquare(self.count)) if self.count else 1.0
        return np.linalg.solve(factor[:-1, :-1].T, factor[-1, :-1] + deviation * rng.standard_normal(len(self.blocks)))

    def noise(self) -> float:
        """Return an estimate of the standard deviation of the noise; 0 without observations."""
        return float(self._factor()[-1, -1] / np.sqrt(self.count)) if self.count else 0.0

    def integrate_out(self, kept: NDArray[np.integer]) -> tuple[Floats, Floats, float]:
        """Return gram, moment and squares of the features `kept`, as if the others had never been distinguished.

        The others are integrated out under their prior: what they may have caused counts as neither known nor noise.
        """
        others = np.setdiff1d(np.arange(len(self.blocks)), kept)
        across = self.gram[np.ix_(others, kept)]
        inner = self.gram[np.ix_(others, others)] + np.diag(self._precisions()[others])
        solved = np.linalg.solve(inner, np.column_stack([across, self.moment[others]]))
        return (
            self.gram[np.ix_(kept, kept)] - across.T @ solved[:, :-1],
            self.moment[kept] - across.T @ solved[:, -1],
            self.squares - float(self.moment[others] @ solved[:, -1]),
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything that observations and sampling change: arrays by name, and facts for JSON."""
        arrays = {"gram": self.gram.copy(), "moment": self.moment.copy()}
        return arrays, {"squares": self.squares, "count": self.count, "levels": self.levels.tolist()}

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self.gram, self.moment = arrays["gram"].copy(), arrays["moment"].copy()
        self.squares, self.count, self.levels = facts["squares"], facts["count"], np.array(facts["levels"])

    def _precisions(self) -> Floats:
        """Return the prior precision of each coefficient `[d]`, in units of the noise's."""
        return 1.0 / SCALES[self.levels[self.blocks]]

    def _factor(self) -> Floats:
        """Return the Cholesky factor `[d + 1, d + 1]` of the sums with y as one more feature.

        Its first d rows are the factor L of the posterior precision; the last one is `L^-1 moment` and the root of the
        sum of squared residuals, the deviations of the coefficients from their prior included.
        """
        size = len(self.blocks)
        joint = np.empty((size + 1, size + 1))
        joint[:size, :size] = self.gram
        joint[range(size), range(size)] += self._precisions()
        joint[size, :size] = joint[:size, size] = self.moment
        # Where a model fits all observations exactly, rounding must not make the residuals negative.
        joint[size, size] = self.squares * (1.0 + RELATIVE_FLOOR) + ABSOLUTE_FLOOR
        return np.linalg.cholesky(joint)
