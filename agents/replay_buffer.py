"""The memory of learning agents: their latest decisions, and the size of the rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ReplayBuffer:
    """The latest `capacity` decisions, each a set of named float32 arrays of fixed shapes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.appended = 0
        self._arrays: dict[str, NDArray[np.float32]] = {}

    def __len__(self) -> int:
        """Return how many decisions it holds."""
        return min(self.appended, self.capacity)

    def append(self, **fields: NDArray[Any] | float) -> None:
        """Add a decision, in place of the oldest one if full; the first one sets the names and shapes."""
        index = self.appended % self.capacity
        for name, value in fields.items():
            if name not in self._arrays:
                self._arrays[name] = np.zeros((self.capacity, *np.shape(value)), dtype=np.float32)
            self._arrays[name][index] = value
        self.appended += 1

    def read(self, indices: NDArray[np.integer] | None = None) -> dict[str, NDArray[np.float32]]:
        """Return copies of decisions, each field `[n, ...]`; `indices` `[n]` count from the oldest, by default all."""
        indices = np.arange(len(self)) if indices is None else indices
        indices = (indices + self.appended - len(self)) % self.capacity
        return {name: array[indices] for name, array in self._arrays.items()}

    def read_by_stream(self) -> dict[str, NDArray[np.float32]]:
        """Return copies of all decisions, grouped by their `stream`, in order within each."""
        return self.read(np.argsort(self.read()["stream"], kind="stable"))

    def restore(self, fields: dict[str, NDArray[np.float32]], shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Hold exactly the decisions that `read` returned.

        Args:
            fields: each `[n, ...]`; none, or all that `shapes` names.
            shapes: of a decision's fields, by name.

        Raises:
            ValueError: other fields, or fields of other shapes.
        """
        count = len(next(iter(fields.values()), ()))
        wanted = {name: (count, *shape) for name, shape in shapes.items()} if fields else {}
        given = {name: array.shape for name, array in fields.items()}
        if given != wanted:
            raise ValueError(f"decisions have the fields {given}, expected {wanted}")
        self.appended = 0
        self._arrays = {}
        for index in range(count):
            self.append(**{name: array[index] for name, array in fields.items()})


class RewardScale:
    """The running size of the rewards, by which agents divide them to learn in units of about 1."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.squares = 0.0

    def add(self, reward: float) -> None:
        """Include a reward."""
        self.count += 1
        self.total += reward
        self.squares += reward * reward

    @property
    def value(self) -> float:
        """The rewards' standard deviation; where they are all equal, their size, and 1 where they are all 0."""
        count = max(self.count, 1)
        square = self.squares / count
        variance = square - (self.total / count) ** 2
        return float((variance if variance > 1e-9 * square else square) ** 0.5) or 1.0

    def state(self) -> dict[str, Any]:
        """Return the sums, for JSON."""
        return {"count": self.count, "total": self.total, "squares": self.squares}

    def restore(self, state: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self.count, self.total, self.squares = int(state["count"]), float(state["total"]), float(state["squares"])
