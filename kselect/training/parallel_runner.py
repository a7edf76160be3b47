"""Episodes played side by side: a vector of environments, one agent that learns from all of them."""

from __future__ import annotations

import copy
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList

from kselect.agents.agent import Agent
from kselect.distillation.cost_account import CostAccount
from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.training.runner import Episode, OnPhase, check_losses, check_same_names, phase_told

Streams = SyncVectorEnv | AsyncVectorEnv


class Rounds:
    """So many episodes, a round of them at a time: each environment of a vector plays one, and the next round begins.

    Played by a vector of one, the episodes are those of a `Series`. A stream whose episode is over before the round is
    trains on for nothing, unseen by the agent: phases adapted to the agent may differ in number, others do not. What
    `snapshot` gives is the end of the last round: a round that was stopped is played again.
    """

    def __init__(self, agent: Agent, streams: Streams, count: int = 1, *, seeds: Sequence[int]) -> None:
        """Plan the episodes.

        Args:
            agent: who decides, explores and learns.
            streams: environments that tell `names`, `total_steps`, `task_name`, `reward_unit`, `initial_losses` and
                `spent()` as `DistillationEnv` does, and that are reset by the step after the last.
            count: how many episodes in all.
            seeds: of each stream's first episode; the next are drawn from it.

        Raises:
            KselectError: episodes that do not fill their rounds, environments that differ in their knowledge, or that are
                reset otherwise.
        """
        if streams.metadata["autoreset_mode"] != AutoresetMode.NEXT_STEP:
            raise KselectError("The vector is reset otherwise than rounds need: make it with autoreset_mode NEXT_STEP.")
        check_same_names(streams.get_attr("names"))
        self.size = streams.num_envs
        if count % self.size:
            raise KselectError(f"{count} episodes do not fill rounds of {self.size}: give a multiple of {self.size}.")
        self.agent = agent
        self.streams = streams
        self.count = count
        self.seeds = seeds
        self.units = streams.get_attr("reward_unit")
        self.tasks = streams.get_attr("task_name")
        self.initial_losses = streams.get_attr("initial_losses")
        self.total_steps = sum(streams.get_attr("total_steps")) * (count // self.size)
        self.episodes: list[Episode] = []
        self.spent: dict[str, float] = {}
        self._before: Sequence[dict[str, float]] = [{}] * self.size
        self._learned = copy.deepcopy(agent.state())
        # Of each stream, what pieces of this round have cost that were stopped; and that with what it costs by now.
        self._earlier: Sequence[dict[str, float]] = [{}] * self.size
        self._cost = self._earlier

    @property
    def kept_steps(self) -> int:
        """Training steps that `snapshot` holds."""
        return sum(record["steps"] for record in self.records)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of all rounds that are over."""
        return [record for episode in self.episodes for record in episode.history]

    def play(
        self, on_phase: OnPhase | None = None, on_episode: Callable[[Episode], None] | None = None
    ) -> list[Episode]:
        """Play the rounds that are left and return all episodes; see `Series.play`."""
        while len(self.episodes) < self.count:
            played = self._play_round(on_phase or (lambda record: None))
            self.episodes += played
            self._learned = copy.deepcopy(self.agent.state())
            self._earlier = self._cost = [{}] * self.size
            for episode in played:
                if on_episode is not None:
                    on_episode(episode)
        return self.episodes

    def snapshot(self) -> Snapshot:
        """Return the state at the end of the last round, and what the one under way has cost."""
        arrays, facts = self._learned
        return Snapshot(
            {name: torch.tensor(array) for name, array in arrays.items()},
            {
                "agent": facts,
                "rounds": [asdict(episode) for episode in self.episodes],
                "initial_losses": list(self.initial_losses),
                "cost": list(self._cost),
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take up what `snapshot` returned; costs go on adding up.

        Raises:
            KselectError: teacher or data are not what they were.
        """
        check_losses(snapshot.facts["initial_losses"], self.initial_losses)
        self._earlier = self._cost = snapshot.facts["cost"]
        self.episodes = [Episode(**episode) for episode in snapshot.facts["rounds"]]
        self.agent.restore({name: tensor.numpy() for name, tensor in snapshot.tensors.items()}, snapshot.facts["agent"])
        self._learned = copy.deepcopy(self.agent.state())

    def last_good(self) -> Snapshot | None:
        """Return None: a student that diverged is in another process."""
        return None

    def _play_round(self, on_phase: OnPhase) -> list[Episode]:
        start, account, listed = time.perf_counter(), CostAccount(), DictInfoToList(self.streams)
        carried = [sum(seconds.values()) for seconds in self._spent(account)]  # the probing that the episodes rest on
        self.agent.begin()
        with _all_there():
            observation, _ = self.streams.reset(seed=self._round_seeds())
        histories: list[list[dict[str, Any]]] = [[] for _ in range(self.size)]
        ended: dict[int, Episode] = {}
        while len(ended) < self.size:
            playing = [stream for stream in range(self.size) if stream not in ended]
            actions = np.zeros(self.streams.action_space.shape or (), self.streams.action_space.dtype)
            preferences = {}
            with account.measure("deciding"):
                for stream in playing:
                    actions[stream] = self.agent.act(_part(observation, stream), explore=True)
                    preferences[stream] = self.agent.preference
            with _all_there():
                following, rewards, terminated, _, infos = listed.step(actions)
            with account.measure("updating"):
                for stream in playing:
                    self.agent.observe(
                        _part(observation, stream),
                        actions[stream],
                        float(rewards[stream]) / self.units[stream],
                        _part(following, stream),
                        bool(terminated[stream]),
                        stream=stream,
                    )
                statistics = self.agent.update()
            spent = self._spent(account)
            elapsed = time.perf_counter() - start
            self._cost = [
                _added({**seconds, "other": elapsed + before - sum(seconds.values())}, earlier)
                for seconds, before, earlier in zip(spent, carried, self._earlier, strict=True)
            ]
            self.spent = {part: sum(cost[part] for cost in self._cost) for part in spent[0]}
            for stream in playing:
                place = {"episode": len(self.episodes) + stream, "task": self.tasks[stream]} if self.count > 1 else {}
                record = phase_told(_plain(infos[stream]), float(rewards[stream]), preferences[stream]) | place
                record["agent"] = statistics if stream == playing[-1] else {}
                histories[stream].append(record)
                if terminated[stream]:
                    total = sum(record["reward"] for record in histories[stream])
                    ended[stream] = Episode(self.tasks[stream], total, self._cost[stream], histories[stream])
                on_phase(record)
            observation = following
        self._before = self._told_spent()
        return [ended[stream] for stream in range(self.size)]

    def _round_seeds(self) -> list[int | None]:
        """Return the seeds that environments of those first seeds would draw for this round by themselves."""
        later = len(self.episodes) // self.size
        draws = [[seed, *np_random(seed)[0].integers(2**31, size=later).tolist()] for seed in self.seeds]
        return [drawn[later] for drawn in draws]

    def _spent(self, account: CostAccount) -> list[dict[str, float]]:
        """Return what each stream has spent in this round, deciding and updating shared out evenly."""
        ours = {part: account.seconds[part] / self.size for part in ("deciding", "updating")}
        now = self._told_spent()
        return [
            {part: seconds - before.get(part, 0.0) + ours.get(part, 0.0) for part, seconds in stream.items()}
            for stream, before in zip(now, self._before, strict=True)
        ]

    def _told_spent(self) -> Sequence[dict[str, float]]:
        with _all_there():
            return self.streams.call("spent")


class LostStreamError(KselectError):
    """A process that plays an episode is gone."""


@contextmanager
def _all_there() -> Iterator[None]:
    """Say in a line that a process is gone, which otherwise shows as a pipe that has ended."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise LostStreamError(
            "A process that plays an episode is gone, killed perhaps for want of memory: "
            "give the same command again to go on, or a smaller --parallel with --fresh."
        ) from error


def open_streams(settings: Sequence[Mapping[str, Any]]) -> AsyncVectorEnv:
    """Start one process for each environment, made from plain settings; they share out this one's threads."""
    threads = max(1, torch.get_num_threads() // len(settings))
    return AsyncVectorEnv([partial(_stream, threads, **each) for each in settings], context="spawn")


def close_streams(streams: AsyncVectorEnv) -> None:
    """End the processes, whatever they are at."""
    for process in streams.processes:
        process.kill()  # they are deaf to anything less
        process.join()
    with suppress(OSError, EOFError):
        streams.close(terminate=True)
    streams.closed = True


def _stream(threads: int, **settings: Any) -> gymnasium.Env[Any, Any]:
    if multiprocessing.parent_process() is not None:  # the first is made here as well, to read its spaces
        for number in (signal.SIGINT, signal.SIGTERM):  # they may go to every process; the one that learns decides
            signal.signal(number, signal.SIG_IGN)
        torch.set_num_threads(threads)
    return gymnasium.make("kselect.envs:kselect/Distillation-v0", disable_env_checker=True, **settings)


def _added(now: Mapping[str, float], earlier: Mapping[str, float]) -> dict[str, float]:
    return {part: seconds + earlier.get(part, 0.0) for part, seconds in now.items()}


def _part(observation: Mapping[str, Any], stream: int) -> dict[str, Any]:
    return {name: values[stream] for name, values in observation.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value
