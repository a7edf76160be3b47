"""The critic of hard selections: few numbers, solved for exactly."""

from __future__ import annotations

import numpy as np


class RidgeCritic:
    """A state's value as a ridge regression on context, its squares, and the mean over the knowledge rows.

    A network that sees a hundred noisy returns either knows them by heart, which leaves no advantage, or errs
    by more than one decision is worth. This has about thirty coefficients; `ridge` pulls each to 0 as
    strongly as so many decisions would.
    """

    def __init__(self, context: int, features: int, *, ridge: float = 3.0) -> None:
        self.ridge = ridge
        size = 2 * context + features
        self.arrays = {
            "offset": np.zeros(1),
            "slope": np.zeros(size),
            "center": np.zeros(size),
            "width": np.ones(size),
        }

    def value(self, context: np.ndarray, knowledge: np.ndarray) -> np.ndarray:
        """Return the values `[n]` of context `[n, c]` and knowledge `[n, k, f]`; 0 before the first `fit`."""
        inputs = (self._inputs(context, knowledge) - self.arrays["center"]) / self.arrays["width"]
        # A state far from all that was seen is judged like the farthest one seen.
        return self.arrays["offset"] + inputs.clip(-3.0, 3.0) @ self.arrays["slope"]

    def fit(self, context: np.ndarray, knowledge: np.ndarray, returns: np.ndarray) -> None:
        """Fit to the returns `[n]` of n states, forgetting what was fitted before."""
        inputs = self._inputs(context, knowledge)
        center, width = inputs.mean(0), inputs.std(0)
        width[width < 1e-6] = 1.0
        inputs = ((inputs - center) / width).clip(-3.0, 3.0)
        offset = returns.mean()
        gram = inputs.T @ inputs + self.ridge * np.eye(inputs.shape[1])
        slope = np.linalg.solve(gram, inputs.T @ (returns - offset))
        self.arrays = {"offset": np.array([offset]), "slope": slope, "center": center, "width": width}

    def _inputs(self, context: np.ndarray, knowledge: np.ndarray) -> np.ndarray:
        context = context.astype(np.float64)
        return np.concatenate([context, context**2, knowledge.mean(-2)], axis=-1)


def gae(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    ends: np.ndarray,
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
) -> np.ndarray:
    """Return `[n]`, generalised advantage estimates (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

        delta_t = r_t + gamma V(s'_t) (1 - terminated_t) - V(s_t)
        A_t     = delta_t + gamma lam A_{t+1}, where A_{t+1} is 0 after each of `ends`

    `next_values` are those of the states each decision led to. `ends` (bool) marks where decision t+1 does
    not continue decision t: a terminated episode, or one that was cut off and is bootstrapped from its last
    value.
    """
    advantages = np.zeros(len(rewards))
    following = 0.0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * next_values[t] * (not terminated[t]) - values[t]
        following = delta + gamma * lam * following * (not ends[t])
        advantages[t] = following
    return advantages
