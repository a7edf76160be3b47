"""Random agents: the baseline of a learned selection."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation


class RandomHard(Agent):
    """A random selection at each decision, any but the empty one with equal probability."""

    actions: ClassVar[tuple[str, ...]] = ("hard",)
    reads_state: ClassVar[bool] = False

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[np.int8]:
        """Return int8 `[k]`."""
        while True:
            action = self.rng.integers(2, size=self.rows, dtype=np.int8)
            if action.any():
                return action


class RandomSoft(Agent):
    """Random weights at each decision, each uniform in [0, 1]."""

    actions: ClassVar[tuple[str, ...]] = ("soft",)
    reads_state: ClassVar[bool] = False

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[np.float32]:
        """Return float32 `[k]`."""
        return self.rng.random(self.rows, dtype=np.float32)
