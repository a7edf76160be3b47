"""What learning agents have in common: a replay buffer, the timing of updates, and their state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from kselect.agents.agent import ROWS, Agent, Observation
from kselect.agents.exploration import CountBonus, DissimilarityBonus
from kselect.agents.replay_buffer import ReplayBuffer, RewardScale
from kselect.agents.validation import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range, check_range


class Learner(Agent):
    """An agent with networks.

    An update is due after `update_every` decisions (never if None) and at the end of each episode. A subclass adds its
    networks and optimisers to `modules` and `optimizers`, and learns from `decisions` in `_learn`. Networks are small
    and stay on the CPU.

    Attributes:
        decisions: The latest decisions, as many as the setting `memory`.
        scale: Size of the rewards.
        generator: Random stream of the networks' initial weights.
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
        self.decisions = ReplayBuffer(self.memory)
        self.scale = RewardScale()
        self.bonus = bonus
        self.modules: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self._pending = 0
        self._due = 0
        self._open: set[int] = set()  # streams whose episode is not over
        self.generator = torch.Generator().manual_seed(seed)

    @abstractmethod
    def log_odds(self, *inputs: Tensor) -> Tensor:
        """Return the log-odds `[n, k]` of the last policy's `preference`, differentiable with respect to the inputs.

        Args:
            inputs: The entries of n observations, `[n, ...]` each, in the order of `observation_keys`.
        """

    @abstractmethod
    def _learn(self) -> dict[str, float]:
        """Learn from `decisions` and return statistics by name."""

    def _extra(self, observation: Observation, action: NDArray[Any]) -> dict[str, Any]:
        """Return further fields of a decision to store."""
        return {}

    def observe(
        self,
        observation: Observation,
        action: NDArray[Any],
        reward: float,
        next_observation: Observation,
        terminated: bool,
        stream: int = 0,
    ) -> None:
        """Store a decision and its exploration reward; see `Agent.observe`."""
        self._check_outcome(observation, reward, next_observation)
        reward = float(reward)
        self.scale.add(reward)
        starts = stream not in self._open
        self.decisions.append(
            **{key: observation[key] for key in self.observation_keys},
            **{f"next_{key}": next_observation[key] for key in self.observation_keys},
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

    def _decision_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each field of a stored decision."""
        shapes = {f"{prefix}{key}": self.shapes[key] for key in self.observation_keys for prefix in ("", "next_")}
        numbers = ("reward", "bonus", "terminated", "starts", "stream")
        return {**shapes, "action": (self.rows,), **dict.fromkeys(numbers, ())}

    def begin(self) -> None:
        """Start an episode in each stream, even where the previous one was cut off."""
        self._open = set()

    def update(self) -> dict[str, float]:
        """Perform every update that is due and return the statistics of the last one, by name."""
        statistics: dict[str, float] = {}
        with single_thread():
            for _ in range(self._due):
                statistics = self._learn()
        self._due = 0
        return statistics

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return networks, optimisers, decisions, scales and counters; see `Agent.state`."""
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

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Return to the state that `state` returned, without its decisions if these are over other knowledge."""
        super().restore(arrays, facts)
        for name, module in self.modules.items():
            module.load_state_dict(_tensors(arrays, f"{name}."))
        for name, optimizer in self.optimizers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _tensors(arrays, f"optimizer.{name}.").items():
                index, moment = key.split(".")
                moments.setdefault(int(index), {})[moment] = tensor
            _check_moments(optimizer, moments)
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        self.scale.restore(facts["scale"])
        names_differ = self.names is not None and facts.get("names") not in (None, list(self.names))
        if facts["rows"] == self.rows and not names_differ:
            self.bonus.restore(facts["bonus"])
            decisions = {key.removeprefix("memory."): arrays[key] for key in arrays if key.startswith("memory.")}
            self.decisions.restore(decisions, self._decision_shapes())
            self._pending, self._due = int(facts["pending"]), int(facts["due"])
            self._open = set(map(int, facts["open"]))


@contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread: networks this small are slower on several, and much slower on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def observation_tensors(observation: Observation, keys: Sequence[str] = ROWS) -> list[Tensor]:
    """Return entries of an observation as a batch of size 1, such as context `[1, c]` and knowledge `[1, k, f]`."""
    return [torch.as_tensor(observation[key], dtype=torch.float32).unsqueeze(0) for key in keys]


def _tensors(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): torch.from_numpy(array.copy())
        for key, array in arrays.items()
        if key.startswith(prefix)
    }


def _check_moments(optimizer: torch.optim.Optimizer, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Refuse the state of Adam where it is not that of these parameters; there is none before the first update."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    wanted = {
        index: {"step": (), "exp_avg": tuple(parameter.shape), "exp_avg_sq": tuple(parameter.shape)}
        for index, parameter in enumerate(parameters)
    }
    given = {index: {name: tuple(tensor.shape) for name, tensor in of.items()} for index, of in moments.items()}
    if given and given != wanted:
        raise ValueError("the moments of the optimizer are not those of its parameters")
