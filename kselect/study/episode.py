"""Episodes: an agent meets the environment. The one loop behind every command."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from agents.agent import Agent
from envs.distillation import DistillationEnv
from kselect.models.classifier import Classifier

OnPhase = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Episode:
    """One distillation run, as it went.

    total_reward: nats of cross-entropy on the reward split. seconds: wall time by part, see
    `kselect.distillation.account`; `other` is what no part claims, such as writing the run down. history: a record a
    phase, as `DistillationEnv.step` tells it, with its `reward` and the agent's own figures under `agent`.
    """

    total_reward: float
    seconds: dict[str, float]
    history: list[dict[str, Any]] = field(repr=False)

    @property
    def shares(self) -> dict[str, float]:
        """Each part's share of the run's wall time."""
        total = sum(self.seconds.values())
        return {part: seconds / total for part, seconds in self.seconds.items()}


@dataclass(frozen=True)
class Result(Episode):
    """A finished distillation: the episode, the student, and how it does on dev.

    metrics: the task's metrics and the gold loss (nats, or squared error), on further splits under `mismatched/...`.
    examples: how many dev has.
    """

    student: Classifier
    metrics: dict[str, float]
    examples: int


def run_episode(
    agent: Agent, env: gymnasium.Env[Any, Any], *, seed: int | None, learning: bool, on_phase: OnPhase | None = None
) -> Episode:
    """Play one episode of `env`, a `DistillationEnv` or a wrapper of one.

    Args:
        agent: who decides.
        env: the run.
        seed: of the order of data and of dropout; None for the environment's next.
        learning: whether the agent explores and learns.
        on_phase: called after each phase with its record.
    """
    base = env.unwrapped
    assert isinstance(base, DistillationEnv)
    base.ask_at(agent.boundaries)
    account = base.distiller.account
    account.begin()
    start, accounted = time.perf_counter(), account.total
    observation, _ = env.reset(seed=seed)
    history: list[dict[str, Any]] = []
    terminated = False
    while not terminated:
        with account.measure("deciding"):
            action = agent.act(observation, explore=learning)
            preference = agent.preference
        next_observation, reward, terminated, _, info = env.step(action)
        record = {**info, "reward": float(reward)}
        if preference is not None:
            record["preference"] = dict(zip(base.distiller.names, preference.tolist(), strict=True))
        if learning:
            with account.measure("updating"):
                agent.observe(observation, action, float(reward), next_observation, terminated)
                record["agent"] = agent.update()
        history.append(record)
        if on_phase is not None:
            on_phase(record)
        observation = next_observation
    elapsed = time.perf_counter() - start
    other = elapsed - (account.total - accounted)
    return Episode(sum(record["reward"] for record in history), {**account.settle(), "other": other}, history)


def learn(
    agent: Agent,
    env: gymnasium.Env[Any, Any],
    episodes: int,
    *,
    seed: int = 0,
    on_phase: OnPhase | None = None,
    on_episode: Callable[[Episode], None] | None = None,
) -> list[Episode]:
    """Train a selection policy over so many distillations, each under its own seed drawn from `seed`."""
    played = []
    for i in range(episodes):
        first = _practice_seed(seed) if i == 0 else None
        played.append(run_episode(agent, env, seed=first, learning=True, on_phase=on_phase))
        if on_episode is not None:
            on_episode(played[-1])
    return played


def _practice_seed(seed: int) -> int:
    """Derive the seed of a policy's first episode, such that no distillation under the same seed repeats it."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0] // 2)


def rollout(
    agent: Agent,
    env: gymnasium.Env[Any, Any],
    *,
    seed: int = 0,
    learning: bool = False,
    on_phase: OnPhase | None = None,
) -> Result:
    """Distil one student under an agent's selection, and evaluate it on dev.

    With `learning` the agent explores and learns while it distils.
    """
    episode = run_episode(agent, env, seed=seed, learning=learning, on_phase=on_phase)
    base = env.unwrapped
    assert isinstance(base, DistillationEnv)
    reported = base.distiller.task.reported
    evaluations = {split: base.distiller.evaluate(split) for split in reported}
    metrics = {
        prefix + name: value
        for split, prefix in reported.items()
        for name, value in {**evaluations[split].metrics, "loss": evaluations[split].loss}.items()
    }
    return Result(
        total_reward=episode.total_reward,
        seconds=episode.seconds,
        history=episode.history,
        student=copy.deepcopy(base.distiller.student),  # the next run will train the distiller's own again
        metrics=metrics,
        examples=evaluations["dev"].examples,
    )
