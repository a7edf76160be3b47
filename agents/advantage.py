"""Advantages of a stretch of decisions."""

from __future__ import annotations

import numpy as np


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
