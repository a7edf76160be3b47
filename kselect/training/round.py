"""A round: one episode of each environment of a vector, and what each of them costs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kselect.distillation.cost_account import CostAccount
from kselect.training.episode import Record
from kselect.training.vector import VectorEnv
from kselect.training.workers import worker_errors

Costs = Mapping[str, float]
"""Seconds by part of an episode."""


class Decisions(NamedTuple):
    """What the agent decided for a phase: `actions`, `[n, ...]`, and `facts` of the decision in each environment."""

    actions: NDArray[Any]
    facts: dict[int, Record]


class Outcome(NamedTuple):
    """What a phase of each environment led to: the next observations, those of all environments in each entry.

    Rewards, whether the episode is over, and infos are by environment.
    """

    observation: dict[str, Any]
    rewards: Sequence[Any]
    terminated: Sequence[Any]
    infos: Sequence[Mapping[str, Any]]

    @classmethod
    def of_step(cls, returned: tuple[Any, Any, Any, Any, Any]) -> Outcome:
        """Return what a step of a vector of environments has returned."""
        observation, rewards, terminated, _, infos = returned
        return cls(observation, rewards, terminated, infos)

    @classmethod
    def of_one(cls, returned: tuple[Any, Any, Any, Any, Any]) -> Outcome:
        """Return what a step of the only environment has returned."""
        observation, reward, terminated, _, info = returned
        batch = {name: np.expand_dims(value, 0) for name, value in observation.items()}
        return cls(batch, [reward], [terminated], [info])


class Round:
    """One episode of each environment of a vector, under way.

    Attributes:
        observation: The present observations, those of all environments in each entry.
        first: The observations before the first decisions.
        actions: The last decisions whose phases are over, `[n, k]`; None before that.
        pending: The decisions on the phases under way; None between phases.
        histories: The records of each episode.
        is_over: Whether each episode is over.
        active: The environments that took the last phase, whose costs are not final.
        account: Time for deciding and updating, which all episodes share.
        costs: What each episode has cost, earlier attempts included.
    """

    def __init__(self, vector: VectorEnv, earlier: Sequence[Costs]) -> None:
        """Begin to count costs, before the environments are reset or restored.

        Args:
            vector: The environments.
            earlier: What attempts at this round that were stopped have cost, by environment.
        """
        size = vector.num_envs
        with worker_errors():
            vector.call("begin_costs")
            before = [sum(seconds.values()) for seconds in vector.call("spent")]
        self.observation: dict[str, Any] = {}
        self.first: dict[str, Any] = {}
        self.actions: NDArray[Any] | None = None
        self.pending: Decisions | None = None
        self.histories: list[list[Record]] = [[] for _ in range(size)]
        self.is_over = [False] * size
        self.active = list(range(size))
        self.account = CostAccount()
        self.costs: list[Costs] = list(earlier)
        self._vector, self._earlier = vector, earlier
        self._before = before  # probing that each episode starts with
        self._start = time.perf_counter()

    def update_costs(self) -> None:
        """Charge the active episodes for what they took so far; deciding and updating are shared out evenly."""
        elapsed = time.perf_counter() - self._start
        with worker_errors():
            spent = self._vector.call("spent")
        for i in self.active:
            seconds = dict(spent[i])
            for part in ("deciding", "updating"):
                seconds[part] = seconds.get(part, 0.0) + self.account.seconds[part] / len(self.costs)
            seconds["other"] = elapsed + self._before[i] - sum(seconds.values())
            self.costs[i] = {part: value + self._earlier[i].get(part, 0.0) for part, value in seconds.items()}
