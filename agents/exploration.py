"""Exploration rewards of Wang et al. 2022 (arXiv 2302.00444), against settling on what worked first.

They are added to what an agent learns from, never to the environment's reward. Both are in their standard form,
which a summary of the paper names without formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class CountBonus:
    """For hard actions: 1 / sqrt(n), with n how often this selection has been taken, now included."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def __call__(self, action: np.ndarray, *, starts: bool, stream: int = 0) -> float:
        """Count a selection `[k]` and return its bonus, in (0, 1]; counts outlive the start of an episode."""
        key = "".join("1" if chosen else "0" for chosen in action)
        self.counts[key] = self.counts.get(key, 0) + 1
        return float(self.counts[key] ** -0.5)

    def state(self) -> dict[str, Any]:
        """Return the counts, for JSON."""
        return {"counts": self.counts}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        self.counts = dict(state["counts"])


class DissimilarityBonus:
    """For soft actions: 1 - cosine with the episode's action before; in [0, 1], weights being positive."""

    def __init__(self) -> None:
        self.previous: dict[int, np.ndarray] = {}

    def __call__(self, action: np.ndarray, *, starts: bool, stream: int = 0) -> float:
        """Return the bonus of an action `[k]`: 0 for the first of an episode (`starts`) of its `stream`.

        An action of zeros has no direction: it is like another one of zeros (0) and unlike anything else (1).
        """
        action = np.asarray(action, dtype=np.float64)
        previous, self.previous[stream] = self.previous.get(stream), action
        if starts or previous is None or len(previous) != len(action):
            return 0.0
        lengths = float(np.linalg.norm(action) * np.linalg.norm(previous))
        if lengths == 0.0:
            return float(action.any() != previous.any())
        return float(np.clip(1.0 - action @ previous / lengths, 0.0, 1.0))

    def state(self) -> dict[str, Any]:
        """Return the last action of each stream, for JSON."""
        return {"previous": {str(stream): action.tolist() for stream, action in self.previous.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        self.previous = {int(stream): np.asarray(action) for stream, action in state["previous"].items()}
