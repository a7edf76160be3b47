"""Returns and advantages of a stretch of decisions."""

from __future__ import annotations

import numpy as np


def discounted_returns(
    rewards: np.ndarray, ends: np.ndarray, *, gamma: float = 1.0, bootstrap: np.ndarray | None = None
) -> np.ndarray:
    """Return `[n]`, R_t = r_t + gamma R_{t+1}, where R starts anew after each of `ends` (bool `[n]`).

    `bootstrap` `[n]` is what follows an end (the value of the state that was cut off), 0 by default; an open
    last decision counts as an end.
    """
    following = np.zeros(len(rewards)) if bootstrap is None else np.asarray(bootstrap, dtype=np.float64)
    returns = np.zeros(len(rewards))
    for t in reversed(range(len(rewards))):
        open_end = ends[t] or t + 1 == len(rewards)
        returns[t] = rewards[t] + gamma * (following[t] if open_end else returns[t + 1])
    return returns


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
