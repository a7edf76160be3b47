"""An agent that goes by the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from kselect.agents.agent import Agent, Observation
from kselect.agents.validation import SHARE, check_range
from kselect.errors import KselectError


class Schedule(Agent):
    """Weights by the share of the run that is over, which an observation's context tells first.

    `stages` follow each other: each has `weights`, one in [0, 1] a row (for hard actions 0 or 1), lasts `until` a share
    of the run (the last one to its end, 1), and where it has `to`, moves from `weights` to those in a straight line.
    A phase ends where a stage does; within a stage that moves, `slope` says how weights go on within a phase.
    """

    travels: ClassVar[bool] = False

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        *,
        stages: Sequence[Mapping[str, Any]],
        seed: int = 0,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        if not stages:
            raise KselectError("A schedule has no stages: give at least one.")
        self.stages = [self._checked(stage, last=i == len(stages)) for i, stage in enumerate(stages, 1)]
        ends = [stage["until"] for stage in self.stages]
        if ends[-1] != 1 or ends[0] <= 0 or any(a >= b for a, b in pairwise(ends)):
            given = ", ".join(f"{end:g}" for end in ends)
            raise KselectError(f"Stages last until {given}: give rising shares of the run above 0, the last one 1.")
        self.boundaries = tuple(ends[:-1])

    def act(self, observation: Observation, *, explore: bool = False) -> np.ndarray:
        """Return the weights `[k]` of this moment."""
        self._check(observation)
        progress = np.float32(observation["context"][0])
        # Observations are of single precision, so that a stage's end must be rounded alike to be met exactly.
        place = next((i for i, end in enumerate(self.boundaries) if progress < np.float32(end)), len(self.boundaries))
        stage = self.stages[place]
        weights, self.slope = np.array(stage["weights"], dtype=np.float32), None
        if stage["to"] is not None:
            start = self.stages[place - 1]["until"] if place else 0.0
            way, length = np.array(stage["to"], dtype=np.float32) - weights, stage["until"] - start
            weights += np.float32(np.clip((progress - start) / length, 0.0, 1.0)) * way
            self.slope = way / np.float32(length)
        self.preference = weights
        return weights.astype(np.float32 if self.soft else np.int8)

    def _checked(self, stage: Mapping[str, Any], last: bool) -> dict[str, Any]:
        """Return a stage with all its parts."""
        until = stage.get("until", 1.0 if last else None)
        check_range("until of a stage", until, SHARE)
        weights = check_weights(stage["weights"], self.rows, self.soft)
        if stage.get("to") is None:
            return {"until": until, "weights": weights, "to": None}
        if not self.soft:
            raise KselectError(
                "Hard actions take or leave, so a stage cannot move `to` other weights: "
                "leave it out, or make the environment with soft actions."
            )
        return {"until": until, "weights": weights, "to": check_weights(stage["to"], self.rows, self.soft)}


def check_weights(weights: Sequence[float], rows: int, soft: bool) -> list[float]:
    """Return `weights`, one in [0, 1] for each of the rows; refuse any others, and fractions where actions are hard."""
    if len(weights) != rows:
        raise KselectError(f"There are {len(weights)} weights for {rows} kinds of knowledge: give one for each.")
    for weight in weights:
        check_range("A weight", weight, SHARE)
    if not soft and not set(weights) <= {0, 1}:
        given = ", ".join(f"{weight:g}" for weight in weights)
        raise KselectError(
            f"Hard actions take or leave, so weights must be 0 or 1, not {given}: "
            "change them, or make the environment with soft actions."
        )
    return [float(weight) for weight in weights]
