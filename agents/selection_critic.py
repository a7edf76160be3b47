"""A critic of selections with few coefficients: linear in weights and progress, with credit over whole episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

UNIT = 12
"""Coefficients are what a decision gains in a run of so many."""
LEVELS = 3  # coefficients of the course of the rewards: constant, linear and quadratic in progress
UNSHRUNK = 1e-3  # the penalty on these, as a share of that on the others


class SelectionCritic:
    """What selections gain, as a ridge regression of all rewards so far, for k kinds of knowledge.

    With x the progress at the middle of a decision, from -1 to 1, l its share of the run, w the normalised weights less
    1 / k, and e the trace, the integral of w over the run so far, the decision adds to the rewards

        12 l (a + b x + c x^2 + w . (d + x f) + e . g)

    The trace never decays (lambda = 1), so g, what a selection adds to each later reward, has credit to the end of the
    episode. The value of an action counts it for the rest of the run:

        q(x, w) = 12 (w . (d + x f) + (1 - x) / 2 * w . g)

    less what is the same for all selections. Features and rewards both add up, so a reward for several decisions
    belongs to the sum of their features, and one at the end of an episode to the sum of them all.

    Args:
        rows: k.
        ridge: Penalty on the squared coefficients.

    Attributes:
        gram: `[n, n]`, sum over the rewards of the products of features, with n = 3 + 3 k.
        moment: `[n]`, sum of features times reward.
        coefficients: `[n]`, after the last `fit`.
    """

    def __init__(self, rows: int, ridge: float) -> None:
        self.rows = rows
        size = LEVELS + 3 * rows
        self.gram, self.moment = np.zeros((size, size)), np.zeros(size)
        self.coefficients: Floats = np.zeros(size)
        self.penalty = np.full(size, ridge)
        self.penalty[:LEVELS] *= UNSHRUNK

    def features(self, weights: Floats, trace: Floats, progress: float, length: float) -> Floats:
        """Return the features `[n]` of a decision.

        Args:
            weights: `[k]`, normalised, less 1 / k.
            trace: `[k]`, their integral over the run before the decision.
            progress: Share of the run before the decision.
            length: Share of the run that it takes.
        """
        x = 2.0 * progress + length - 1.0
        return UNIT * length * np.concatenate([[1.0, x, x * x], weights, x * weights, trace + 0.5 * length * weights])

    def add(self, features: Floats, reward: float) -> None:
        """Include a reward for decisions whose features `[n]` were added up."""
        self.gram += np.outer(features, features)
        self.moment += features * reward

    def fit(self) -> None:
        """Fit the coefficients to all rewards that were added."""
        self.coefficients = np.linalg.solve(self.gram + np.diag(self.penalty), self.moment)

    def advantages(self, weights: Floats, progress: float) -> Floats:
        """Return what each of some selections gains to the end of the episode over equal weights, `[...]`.

        Args:
            weights: `[..., k]`, normalised, less 1 / k.
            progress: Share of the run at the middle of the decision.
        """
        now, change, later = self.coefficients[LEVELS:].reshape(3, self.rows)
        gains: Floats = weights @ (UNIT * (now + (2.0 * progress - 1.0) * change + (1.0 - progress) * later))
        return gains
