"""The critic of hard selections, with few coefficients and an exact solution, and its advantage estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


class RidgeCritic:
    """A state's value as a ridge regression on the context, its squares, and the mean of the knowledge rows.

    A network that sees a hundred noisy returns either memorises them, which leaves no advantage, or its error exceeds
    what one decision is worth. This critic has about thirty coefficients.

    Args:
        context: Size c of the context.
        features: Size f of a knowledge row.
        ridge: Penalty on the squared coefficients: each is shrunk towards 0 as strongly as by this many decisions.
    """

    def __init__(self, context: int, features: int, *, ridge: float = 3.0) -> None:
        self.ridge = ridge
        size = 2 * context + features
        self.arrays: dict[str, Floats] = {
            "offset": np.zeros(1),
            "slope": np.zeros(size),
            "center": np.zeros(size),
            "width": np.ones(size),
        }

    def value(self, context: Floats, knowledge: Floats) -> Floats:
        """Return the values `[n]` of context `[n, c]` and knowledge `[n, k, f]`; 0 before the first `fit`."""
        inputs = (self._inputs(context, knowledge) - self.arrays["center"]) / self.arrays["width"]
        # Clipped: a state far outside the fitted ones gets the value of the farthest of them.
        values: Floats = self.arrays["offset"] + inputs.clip(-3.0, 3.0) @ self.arrays["slope"]
        return values

    def fit(self, context: Floats, knowledge: Floats, returns: Floats) -> None:
        """Fit to the returns `[n]` of n states, in place of the previous fit."""
        inputs = self._inputs(context, knowledge)
        center, width = inputs.mean(0), inputs.std(0)
        width[width < 1e-6] = 1.0
        inputs = ((inputs - center) / width).clip(-3.0, 3.0)
        offset = returns.mean()
        gram = inputs.T @ inputs + self.ridge * np.eye(inputs.shape[1])
        slope = np.linalg.solve(gram, inputs.T @ (returns - offset))
        self.arrays = {"offset": np.array([offset]), "slope": slope, "center": center, "width": width}

    def _inputs(self, context: Floats, knowledge: Floats) -> Floats:
        context = context.astype(np.float64)
        return np.concatenate([context, context**2, knowledge.mean(-2)], axis=-1)


def gae(
    rewards: Floats,
    values: Floats,
    next_values: Floats,
    terminated: Floats,
    ends: Floats,
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
) -> Floats:
    """Compute generalised advantage estimates (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

        delta_t = r_t + gamma V(s'_t) (1 - terminated_t) - V(s_t)
        A_t     = delta_t + gamma lam A_{t+1}, where A_{t+1} is 0 after each of `ends`

    Args:
        rewards: `[n]`, of the decisions in order.
        values: `[n]`, of the states in which they were taken.
        next_values: `[n]`, of the states that they led to.
        terminated: `[n]`, bool, whether the episode was over after it.
        ends: `[n]`, bool, whether decision t+1 does not continue decision t: the episode terminated, or was cut off and
            is bootstrapped from its last value.
        gamma: Discount.
        lam: Weight of later steps, from 0 (one-step advantages) to 1 (returns minus values).

    Returns:
        `[n]`, the advantages.
    """
    advantages = np.zeros(len(rewards))
    following = 0.0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * next_values[t] * (not terminated[t]) - values[t]
        following = delta + gamma * lam * following * (not ends[t])
        advantages[t] = following
    return advantages
