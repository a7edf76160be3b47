"""What learning agents share: remembering decisions, when an update is due, going on after a reload."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from kselect.agents.agent import Agent, Observation
from kselect.agents.exploration import CountBonus, DissimilarityBonus
from kselect.agents.replay_buffer import Memory, RewardScale
from kselect.agents.validation import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range, check_range
from kselect.errors import KselectError


class Learner(Agent):
    """An agent with networks. An update is due after `update_every` decisions and at the end of an episode.

    `update_every=None` leaves only the ends. A subclass makes its networks and optimisers, named in `modules`
    and `optimizers`, and learns from `memory` in `_learn`. Networks live on the CPU: they are tiny.
    """

    learns = True
    ranges: ClassVar[dict[str, Range]] = {
        "learning_rate": POSITIVE,
        "gamma": SHARE,
        "hidden": COUNT,
        "memory": COUNT,
        "exploration": NOT_NEGATIVE,
    }

    learning_rate: float
    gamma: float
    hidden: int
    memory: int
    exploration: float
    update_every: int | None

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        bonus: CountBonus | DissimilarityBonus,
        *,
        seed: int,
    ) -> None:
        super().__init__(observation_space, action_space, seed=seed)
        self.check_settings()
        if self.update_every is not None:
            check_range("update_every", self.update_every, COUNT)
        self.decisions = Memory(self.memory)
        self.scale = RewardScale()
        self.bonus = bonus
        self.modules: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self._pending = 0
        self._due = 0
        self._open: set[int] = set()  # streams in the midst of an episode
        self.generator = torch.Generator().manual_seed(seed)

    @abstractmethod
    def _learn(self) -> dict[str, float]:
        """Learn from memory; return statistics."""

    def _extra(self, observation: Observation, action: np.ndarray) -> dict[str, Any]:
        """Return what else to remember of a decision."""
        return {}

    def observe(
        self,
        observation: Observation,
        action: np.ndarray,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        stream: int = 0,
    ) -> None:
        """Remember a decision with its exploration reward."""
        self._check(observation)
        self._check(next_observation)
        reward = float(reward)
        if not math.isfinite(reward):
            raise KselectError(
                f"The reward is {reward}: an agent cannot learn from it; look at the losses of the phase."
            )
        self.scale.add(reward)
        starts = stream not in self._open
        self.decisions.append(
            **{part: observation[part] for part in self.reads},
            **{f"next_{part}": next_observation[part] for part in self.reads},
            action=action,
            reward=reward,
            bonus=self.bonus(action, starts=starts, stream=stream),
            terminated=float(terminated),
            starts=float(starts),
            stream=float(stream),
            **self._extra(observation, action),
        )
        self._open = self._open - {stream} if terminated else self._open | {stream}
        self._pending += 1
        if terminated or self._pending == self.update_every:
            self._pending = 0
            self._due += 1

    def begin(self) -> None:
        """Say that the next decision of each stream starts an episode, even where the last one was cut off."""
        self._open = set()

    def update(self) -> dict[str, float]:
        """Learn as often as updates are due; return the statistics of the last."""
        statistics: dict[str, float] = {}
        with single_thread():
            for _ in range(self._due):
                statistics = self._learn()
        self._due = 0
        return statistics

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return networks, optimisers, memory, scales and counters."""
        arrays = {f"memory.{name}": array for name, array in self.decisions.read().items()}
        for name, module in self.modules.items():
            for key, tensor in module.state_dict().items():
                arrays[f"{name}.{key}"] = tensor.numpy().copy()
        for name, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                for key, tensor in moments.items():
                    arrays[f"optimizer.{name}.{index}.{key}"] = tensor.numpy().copy()
        facts = super().state()[1] | {
            "scale": self.scale.state(),
            "bonus": self.bonus.state(),
            "pending": self._pending,
            "due": self._due,
            "open": sorted(self._open),
        }
        return arrays, facts

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Take up what `state` returned; of decisions over other knowledge, keep the lesson only."""
        super().restore(arrays, facts)
        for name, module in self.modules.items():
            module.load_state_dict(_tensors(arrays, f"{name}."))
        for name, optimizer in self.optimizers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _tensors(arrays, f"optimizer.{name}.").items():
                index, moment = key.split(".")
                moments.setdefault(int(index), {})[moment] = tensor
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        self.scale.restore(facts["scale"])
        names_differ = self.names is not None and facts.get("names") not in (None, list(self.names))
        if facts["rows"] == self.rows and not names_differ:
            self.bonus.restore(facts["bonus"])
            remembered = {key.removeprefix("memory."): arrays[key] for key in arrays if key.startswith("memory.")}
            self.decisions.restore(remembered)
            self._pending, self._due, self._open = facts["pending"], facts["due"], set(facts["open"])


@contextmanager
def single_thread() -> Iterator[None]:
    """Compute on one thread: networks this small lose by sharing, and wait for ever on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def observation_tensors(observation: Observation, parts: Sequence[str] = Agent.reads) -> list[Tensor]:
    """Return parts of one observation as a batch of one: context `[1, c]` and knowledge `[1, k, f]`, say."""
    return [torch.as_tensor(observation[part], dtype=torch.float32).unsqueeze(0) for part in parts]


def _tensors(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): torch.from_numpy(array.copy())
        for key, array in arrays.items()
        if key.startswith(prefix)
    }
