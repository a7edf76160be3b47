"""Agents that learn nothing: what a learned selection is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gymnasium import spaces

from agents.agent import Agent, Observation
from agents.settings import SHARE, check_range
from kselect.errors import UserError


class FixedWeights(Agent):
    """The same at every decision: `weights` has one in [0, 1] a row; for hard actions 0 or 1."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        weights: Sequence[float],
        seed: int = 0,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        if len(weights) != self.rows:
            raise UserError(f"There are {len(weights)} weights for {self.rows} kinds of knowledge: give one for each.")
        for weight in weights:
            check_range("A weight", weight, SHARE)
        if not self.soft and not set(weights) <= {0, 1}:
            given = ", ".join(f"{weight:g}" for weight in weights)
            raise UserError(
                f"Hard actions take or leave, so weights must be 0 or 1, not {given}: "
                "change them, or make the environment with soft actions."
            )
        self.weights = [float(weight) for weight in weights]

    def act(self, observation: Observation, *, explore: bool = False) -> np.ndarray:
        """Return the weights `[k]`."""
        self.preference = np.array(self.weights, dtype=np.float32)
        return self.preference.astype(np.float32 if self.soft else np.int8)


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
