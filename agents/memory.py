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
        """Return copies of the decisions at `places` (0 is the oldest held), all by default, each field `[n, ...]`."""
        places = np.arange(len(self)) if places is None else places
        places = (places + self.appended - len(self)) % self.capacity
        return {name: array[places] for name, array in self._arrays.items()}

    def restore(self, fields: dict[str, np.ndarray]) -> None:
        """Hold exactly these decisions, as `read` returned them."""
        self.__init__(self.capacity)  # type: ignore[misc]
        for place in range(len(next(iter(fields.values()), ()))):
            self.append(**{name: array[place] for name, array in fields.items()})


class RewardScale:
    """Running sizes of rewards and of what they add up to over an episode, for learning in units of about 1.

    `reward` is the standard deviation of the rewards; `total` the root mean square of the discounted sums of
    them so far in their episode. Both are 1 as long as nothing but zeros was seen.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self.count = 0
        self.sums = [0.0, 0.0, 0.0]  # of the rewards, their squares, and the squares of their discounted sums
        self.running = 0.0

    def add(self, reward: float, *, starts: bool) -> None:
        """Take in a reward; `starts` says that it is the first of an episode."""
        self.running = reward + (0.0 if starts else self.gamma * self.running)
        self.count += 1
        for place, value in enumerate((reward, reward**2, self.running**2)):
            self.sums[place] += value

    @property
    def reward(self) -> float:
        """Return the standard deviation of the rewards (their size, as long as there is no spread)."""
        count = max(self.count, 1)
        square = self.sums[1] / count
        variance = square - (self.sums[0] / count) ** 2
        return float(max(variance, 0.0) ** 0.5 if variance > 1e-9 * square else square**0.5) or 1.0

    @property
    def total(self) -> float:
        """Return the root mean square of the discounted sums."""
        return float((self.sums[2] / max(self.count, 1)) ** 0.5) or 1.0

    def state(self) -> dict[str, Any]:
        """Return the sums, for JSON."""
        return {"count": self.count, "sums": self.sums, "running": self.running}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        self.count, self.sums, self.running = state["count"], list(state["sums"]), state["running"]
