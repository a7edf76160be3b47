"""Exploration rewards of Wang et al. 2022 (arXiv 2302.00444), which keep an agent from settling too early.

They are added to what an agent learns from, never to the environment's reward. Both have their standard form: the
summary of the paper that they follow names them without formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class CountBonus:
    """A bonus for hard actions: 1 / sqrt(n), with n the number of times this selection was taken, this one included."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def __call__(self, action: NDArray[Any], *, starts: bool, stream: int = 0) -> float:
        """Count a selection `[k]` and return its bonus, in (0, 1]; episodes share the counts."""
        key = "".join("1" if chosen else "0" for chosen in action)
        self.counts[key] = self.counts.get(key, 0) + 1
        return float(self.counts[key] ** -0.5)

    def state(self) -> dict[str, Any]:
        """Return the counts, for JSON."""
        return {"counts": self.counts}

    def restore(self, state: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self.counts = {str(key): int(count) for key, count in state["counts"].items()}


class DissimilarityBonus:
    """A bonus for soft actions: 1 - cosine with the previous action, in [0, 1] because weights are not negative."""

    def __init__(self) -> None:
        self.previous: dict[int, NDArray[Any]] = {}

    def __call__(self, action: NDArray[Any], *, starts: bool, stream: int = 0) -> float:
        """Return the bonus of an action, in [0, 1].

        Args:
            action: `[k]`; one of zeros, which has no direction, has the bonus 0 after another one of zeros, else 1.
            starts: Whether it is the first of its episode, whose bonus is 0.
            stream: Index of its environment, where several are played in parallel.
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
        """Return to the state that `state` returned."""
        previous = {int(stream): np.asarray(action, dtype=np.float64) for stream, action in state["previous"].items()}
        if any(action.ndim != 1 or not np.isfinite(action).all() for action in previous.values()):
            raise ValueError("a previous action is not a list of numbers")
        self.previous = previous
