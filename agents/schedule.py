"""An agent whose weights depend on the share of the run that is over, and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.agents.validation import SHARE, check_range
from kselect.errors import KselectError


class Schedule(Agent):
    """Weights by stages of the run; the share of the run that is over is the first entry of an observation's context.

    A phase ends where a stage does. Within a stage whose weights move, `slope` says how they move during a phase.

    Args:
        observation_space: Of the environment.
        action_space: Of the environment.
        stages: In order. Each has `weights`, one per row in [0, 1] (0 or 1 for hard actions); `until`, the share of the
            run at which it ends (1 for the last one); and optionally `to`, weights that it moves to in a straight line.
        seed: Accepted as by every agent; nothing is random.

    Raises:
        KselectError: no stages, ends that do not increase up to 1, or weights that the actions cannot express.
    """

    transferable: ClassVar[bool] = False
    reads_state: ClassVar[bool] = False

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

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return the current weights `[k]`."""
        self._check(observation)
        progress = np.float32(observation["context"][0])
        # Observations are in single precision: a stage's end must be rounded in the same way to be met exactly.
        ends = enumerate(self.boundaries)
        index = next((i for i, end in ends if progress < np.float32(end)), len(self.boundaries))
        stage = self.stages[index]
        weights, self.slope = np.array(stage["weights"], dtype=np.float32), None
        if stage["to"] is not None:
            start = self.stages[index - 1]["until"] if index else 0.0
            change, length = np.array(stage["to"], dtype=np.float32) - weights, stage["until"] - start
            weights += np.float32(np.clip((progress - start) / length, 0.0, 1.0)) * change
            self.slope = change / np.float32(length)
        return weights.astype(np.float32 if self.soft else np.int8)

    def _checked(self, stage: Mapping[str, Any], last: bool) -> dict[str, Any]:
        """Return a stage with all its keys."""
        until = stage.get("until", 1.0 if last else None)
        check_range("until of a stage", until, SHARE)
        weights = check_weights(stage["weights"], self.rows, self.soft)
        if stage.get("to") is None:
            return {"until": until, "weights": weights, "to": None}
        if not self.soft:
            raise KselectError(
                "Hard actions are 0 or 1, so a stage cannot move `to` other weights: "
                "leave it out, or make the environment with soft actions."
            )
        return {"until": until, "weights": weights, "to": check_weights(stage["to"], self.rows, self.soft)}


def check_weights(weights: Sequence[float], rows: int, soft: bool) -> list[float]:
    """Return the weights of one stage, one per row, as floats; refuse those that the actions cannot express."""
    if len(weights) != rows:
        raise KselectError(f"There are {len(weights)} weights for {rows} kinds of knowledge: give one for each.")
    for weight in weights:
        check_range("A weight", weight, SHARE)
    if not soft and not set(weights) <= {0, 1}:
        given = ", ".join(f"{weight:g}" for weight in weights)
        raise KselectError(
            f"Hard actions are 0 or 1, so weights cannot be {given}: "
            "change them, or make the environment with soft actions."
        )
    return [float(weight) for weight in weights]
