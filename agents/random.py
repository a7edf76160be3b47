"""Chance: what a learned selection is held against."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kselect.agents.agent import Agent, Observation


class RandomHard(Agent):
    """Any selection but that of nothing, all equally likely, drawn anew at every decision."""

    actions: ClassVar[tuple[str, ...]] = ("hard",)

    def act(self, observation: Observation, *, explore: bool = False) -> np.ndarray:
        """Return int8 `[k]`."""
        while True:
            action = self.rng.integers(2, size=self.rows, dtype=np.int8)
            if action.any():
                return action


class RandomSoft(Agent):
    """Every weight uniform in [0, 1], drawn anew at every decision."""

    actions: ClassVar[tuple[str, ...]] = ("soft",)

    def act(self, observation: Observation, *, explore: bool = False) -> np.ndarray:
        """Return float32 `[k]`."""
        return self.rng.random(self.rows, dtype=np.float32)
