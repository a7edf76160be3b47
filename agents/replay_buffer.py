"""What an agent remembers: its latest decisions, and how large their rewards were."""

from __future__ import annotations

from typing import Any

import numpy as np


class Memory:
    """The latest `capacity` decisions, each a set of named float32 arrays of fixed shapes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.appended = 0
        self._arrays: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        """Return how many decisions it holds."""
        return min(self.appended, self.capacity)

    def append(self, **fields: np.ndarray | float) -> None:
        """Add a decision, over the oldest one if full; the first one settles the names and shapes."""
        place = self.appended % self.capacity
        for name, value in fields.items():
            if name not in self._arrays:
                self._arrays[name] = np.zeros((self.capacity, *np.shape(value)), dtype=np.float32)
            self._arrays[name][place] = value
        self.appended += 1

    def read(self, places: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return copies of the decisions at `places` (0: the oldest; default: all), fields `[n, ...]`."""
        places = np.arange(len(self)) if places is None else places
        places = (places + self.appended - len(self)) % self.capacity
        return {name: array[places] for name, array in self._arrays.items()}

    def read_by_stream(self) -> dict[str, np.ndarray]:
        """Return copies of all decisions, one `stream` after the other, each in order."""
        return self.read(np.argsort(self.read()["stream"], kind="stable"))

    def restore(self, fields: dict[str, np.ndarray]) -> None:
        """Hold exactly these decisions, as `read` returned them."""
        self.__init__(self.capacity)  # type: ignore[misc]
        for place in range(len(next(iter(fields.values()), ()))):
            self.append(**{name: array[place] for name, array in fields.items()})


class RewardScale:
    """The running size of rewards, for learning in units of about 1."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.squares = 0.0

    def add(self, reward: float) -> None:
        """Take in a reward."""
        self.count += 1
        self.total += reward
        self.squares += reward * reward

    @property
    def value(self) -> float:
        """Return the standard deviation; without any spread the rewards' size, and 1 if all are 0."""
        count = max(self.count, 1)
        square = self.squares / count
        variance = square - (self.total / count) ** 2
        return float((variance if variance > 1e-9 * square else square) ** 0.5) or 1.0

    def state(self) -> dict[str, Any]:
        """Return the sums, for JSON."""
        return {"count": self.count, "total": self.total, "squares": self.squares}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        self.count, self.total, self.squares = state["count"], state["total"], state["squares"]
