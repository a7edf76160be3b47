"""Episodes one after the other, in a state that can be saved and gone on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.agents.agent import Agent, Observation
from kselect.distillation.distiller import Distiller
from kselect.distillation.snapshot import Snapshot
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError

OnPhase = Callable[[dict[str, Any]], None]
PROBE_TOLERANCE = 1e-3  # far above what other hardware changes, far below what another teacher does


@dataclass(frozen=True)
class Episode:
    """One distillation run, as it went.

    task: name of what was learned. total_reward: nats of cross-entropy on the reward split. seconds: wall time by part,
    see `kselect.distillation.cost_account`; `other` is what no part claims, such as writing the run down. history:
    a record a phase, as `DistillationEnv.step` tells it, with its `reward` and the agent's own figures under `agent`.
    """

    task: str
    total_reward: float
    seconds: dict[str, float]
    history: list[dict[str, Any]] = field(repr=False)

    @property
    def shares(self) -> dict[str, float]:
        """Each part's share of the run's wall time."""
        total = sum(self.seconds.values())
        return {part: seconds / total for part, seconds in self.seconds.items()}


class Series:
    """So many episodes under one agent, the environments taking turns.

    The agent is given rewards in units of its task's `reward_unit`, so that no task outweighs another; records and
    totals stay in nats. Within `on_phase`, `snapshot` takes all that the rest depends on; a series restored from it
    plays on, bit by bit, as this one does.
    """

    def __init__(
        self,
        agent: Agent,
        envs: Sequence[gymnasium.Env[Any, Any]],
        count: int = 1,
        *,
        seeds: Sequence[int | None],
        learning: bool,
    ) -> None:
        """Plan the episodes.

        Args:
            agent: who decides.
            envs: the runs, each a `DistillationEnv` or a wrapper of one.
            count: how many episodes in all.
            seeds: of each environment's first episode (the order of data, dropout); the next are drawn from it.
            learning: whether the agent explores and learns.

        Raises:
            KselectError: environments that differ in their knowledge, or in what an agent sees or does.
        """
        check_alike([_base(env) for env in envs])
        for env in envs:
            _base(env).decide_at(agent.boundaries)
        self.agent = agent
        self.envs = envs
        self.count = count
        self.seeds = seeds
        self.learning = learning
        self.episodes: list[Episode] = []
        self.history: list[dict[str, Any]] = []
        self._observation: Observation | None = None
        self._terminated = False

    @property
    def env(self) -> DistillationEnv:
        """The environment whose turn it is."""
        return _base(self.envs[len(self.episodes) % len(self.envs)])

    @property
    def distillers(self) -> list[Distiller]:
        """The distiller of each environment."""
        return [_base(env).distiller for env in self.envs]

    @property
    def total_steps(self) -> int:
        """Training steps of the whole series."""
        return sum(_base(self.envs[i % len(self.envs)]).total_steps for i in range(self.count))

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of all phases so far."""
        return [record for history in (*(e.history for e in self.episodes), self.history) for record in history]

    @property
    def kept_steps(self) -> int:
        """Training steps that `snapshot` holds."""
        return sum(record["steps"] for record in self.records)

    @property
    def spent(self) -> dict[str, float]:
        """Seconds by part of the episode under way."""
        return self.env.spent()

    def play(
        self, on_phase: OnPhase | None = None, on_episode: Callable[[Episode], None] | None = None
    ) -> list[Episode]:
        """Play what is left and return all episodes.

        Args:
            on_phase: called after each phase with its record.
            on_episode: called after each episode.
        """
        while len(self.episodes) < self.count:
            if self._observation is None:
                self._begin()
            while not self._terminated:
                record = self._play_phase()
                if on_phase is not None:
                    on_phase(record)
            self._end()
            if on_episode is not None:
                on_episode(self.episodes[-1])
        return self.episodes

    def snapshot(self) -> Snapshot:
        """Copy everything that the rest depends on; to be called within `on_phase`."""
        assert self._observation is not None
        distiller = self.env.distiller
        run, (learned, facts) = distiller.snapshot(), self.agent.state()
        arrays = {f"agent/{name}": array for name, array in learned.items()}
        arrays |= {f"observation/{name}": array for name, array in self._observation.items()}
        return Snapshot(
            {f"run/{name}": tensor for name, tensor in run.tensors.items()}
            | {name: torch.tensor(array) for name, array in arrays.items()},
            {
                "run": run.facts,
                "agent": facts,
                "envs": [_base(env).state() for env in self.envs],
                "episodes": [asdict(episode) for episode in self.episodes],
                "history": list(self.history),
                "terminated": self._terminated,
                "initial_losses": [_base(env).initial_losses for env in self.envs],
                "account": dict(distiller.account.seconds),
                "elapsed": time.perf_counter() - self._start,
            },
        )

    def last_good(self) -> Snapshot | None:
        """Return the state of a student whose training diverged, from before it did."""
        return self.env.distiller.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take up what `snapshot` took, in a series made alike; costs go on adding up.

        Raises:
            KselectError: teacher or data are not what they were.
        """
        groups: dict[str, dict[str, Tensor]] = {"run": {}, "agent": {}, "observation": {}}
        for name, tensor in snapshot.tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        facts = snapshot.facts
        self.episodes = [Episode(**episode) for episode in facts["episodes"]]
        self.history = list(facts["history"])
        self._terminated = facts["terminated"]
        self._observation = {name: tensor.numpy() for name, tensor in groups["observation"].items()}
        distiller = self.env.distiller
        check_losses(facts["initial_losses"], [_base(env).initial_losses for env in self.envs])
        distiller.restore(Snapshot(groups["run"], facts["run"]))
        for env, state in zip(self.envs, facts["envs"], strict=True):
            _base(env).restore(state)
        self.agent.restore({name: tensor.numpy() for name, tensor in groups["agent"].items()}, facts["agent"])
        account = distiller.account
        self._start = time.perf_counter() - account.total - facts["elapsed"]
        account.seconds = {part: account.seconds[part] + seconds for part, seconds in facts["account"].items()}

    def _begin(self) -> None:
        turn = len(self.episodes)
        account = self.env.distiller.account
        account.begin()
        self._start = time.perf_counter() - account.total
        self._terminated = False
        self.agent.begin()
        seed = self.seeds[turn] if turn < len(self.envs) else None
        self._observation, _ = self.envs[turn % len(self.envs)].reset(seed=seed)

    def _play_phase(self) -> dict[str, Any]:
        env, base, observation = self.envs[len(self.episodes) % len(self.envs)], self.env, self._observation
        assert observation is not None
        account = base.distiller.account
        with account.measure("deciding"):
            action = self.agent.act(observation, explore=self.learning)
            preference, base.slope = self.agent.preference, self.agent.slope
        following, reward, self._terminated, _, info = env.step(action)
        record = phase_told(info, float(reward), preference)
        if self.count > 1:
            record |= {"episode": len(self.episodes), "task": base.task_name}
        if self.learning:
            with account.measure("updating"):
                told = float(reward) / base.reward_unit
                self.agent.observe(observation, action, told, following, self._terminated)
                record["agent"] = self.agent.update()
        self.history.append(record)
        self._observation = following
        return record

    def _end(self) -> None:
        account = self.env.distiller.account
        other = time.perf_counter() - self._start - account.total
        total = sum(record["reward"] for record in self.history)
        self.episodes.append(Episode(self.env.task_name, total, {**account.settle(), "other": other}, self.history))
        self.history, self._observation, self._terminated = [], None, False


def check_alike(envs: Sequence[DistillationEnv]) -> None:
    """Refuse environments that one policy cannot serve.

    Raises:
        KselectError: they differ in their knowledge, or in what an agent sees or does.
    """
    check_same_names([env.names for env in envs])
    for env in envs[1:]:
        if (env.observation_space, env.action_space) != (envs[0].observation_space, envs[0].action_space):
            raise KselectError(
                "One policy needs one kind of environment: give every task the same kind of actions and observations, "
                "and where [CLS] is observed, models of the same width."
            )


def check_same_names(offered: Sequence[Sequence[str]]) -> None:
    """Refuse knowledge, by its names, that is not the same in every environment, in the same order."""
    for names in offered[1:]:
        if tuple(names) != tuple(offered[0]):
            raise KselectError(
                "One policy needs one kind of environment: offer the same knowledge in every task, "
                f"in the same order, not {', '.join(offered[0])} here and {', '.join(names)} there."
            )


def phase_told(info: dict[str, Any], reward: float, preference: NDArray[Any] | None) -> dict[str, Any]:
    """Return the record of a phase: what the environment tells of it, its reward, and what the agent leaned to."""
    leaning = {} if preference is None else {"preference": dict(zip(info["weights"], preference.tolist(), strict=True))}
    return {**info, "reward": reward, **leaning}


def _base(env: gymnasium.Env[Any, Any]) -> DistillationEnv:
    base = env.unwrapped
    assert isinstance(base, DistillationEnv)
    return base


def check_losses(then: Sequence[dict[str, float]], now: Sequence[dict[str, float]]) -> None:
    """Tell another teacher, or other data, by each environment's losses before the first step."""
    for before, after in zip(then, now, strict=True):
        for name, loss in before.items():
            here = after.get(name, np.nan)
            if not np.isclose(here, loss, rtol=PROBE_TOLERANCE, atol=1e-6):
                raise KselectError(
                    f"The run cannot go on: teacher or data have changed, since the loss of {name} before the first "
                    f"step was {loss:.6g} and is {here:.6g} now. Give --fresh to start over."
                )
