"""What a library user calls: episodes to learn from, and one to distil a student by."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from kselect.agents.agent import Agent
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import Evaluation, evaluate
from kselect.envs.distillation import DistillationEnv
from kselect.models.classifier import Classifier
from kselect.tasks.task import Task
from kselect.training.parallel_runner import Rounds, Streams
from kselect.training.runner import Episode, OnPhase, Series

Env = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Result(Episode):
    """A finished distillation: the episode, the student, and how it does on dev.

    metrics: the task's metrics and the gold loss (nats, or squared error), on further splits under `mismatched/...`.
    examples: how many dev has. further_examples: how many each further split has, by its name. padding: share of
    padding among the tokens of the last epoch's batches; the order of data changes it a little from one epoch to the
    next.
    """

    student: Classifier
    metrics: dict[str, float]
    examples: int
    further_examples: dict[str, int]
    padding: float


def run_episode(
    agent: Agent, env: Env, *, seed: int | None, learning: bool, on_phase: OnPhase | None = None
) -> Episode:
    """Play one episode of `env`, a `DistillationEnv` or a wrapper of one.

    Args:
        agent: who decides.
        env: the run.
        seed: of the order of data and of dropout; None for the environment's next.
        learning: whether the agent explores and learns.
        on_phase: called after each phase with its record.
    """
    return Series(agent, [env], seeds=[seed], learning=learning).play(on_phase)[0]


def practice(agent: Agent, envs: Sequence[Env] | Streams, episodes: int, *, seed: int = 0) -> Series | Rounds:
    """Return the episodes that an agent is to learn from, each under its own seed drawn from `seed`.

    Environments in a sequence take turns; those of a vector play side by side.
    """
    if isinstance(envs, Streams):
        return Rounds(agent, envs, episodes, seeds=[_practice_seed(seed, place) for place in range(envs.num_envs)])
    seeds = [_practice_seed(seed, place) for place in range(len(envs))]
    return Series(agent, envs, episodes, seeds=seeds, learning=True)


def learn(
    agent: Agent,
    env: Env | Sequence[Env] | Streams,
    episodes: int,
    *,
    seed: int = 0,
    on_phase: OnPhase | None = None,
    on_episode: Callable[[Episode], None] | None = None,
) -> list[Episode]:
    """Train a selection policy over so many distillations.

    Args:
        agent: who learns.
        env: the run; of a list of runs each has its turn, and those of a `gymnasium.vector` play side by side.
        episodes: how many in all.
        seed: of the first episode of each run; the next are drawn from it.
        on_phase: called after each phase with its record.
        on_episode: called after each episode.

    Raises:
        KselectError: environments that one policy cannot serve, or episodes that do not fill the rounds of a vector.
    """
    envs = [env] if isinstance(env, gymnasium.Env) else env
    return practice(agent, envs, episodes, seed=seed).play(on_phase, on_episode)


def _practice_seed(seed: int, place: int) -> int:
    """Derive the seed of a policy's first episode, such that no distillation under the same seed repeats it."""
    key = [seed, 1, place] if place else [seed, 1]
    return int(np.random.SeedSequence(key).generate_state(1)[0] // 2)


def rollout(
    agent: Agent,
    env: Env,
    *,
    seed: int = 0,
    learning: bool = False,
    on_phase: OnPhase | None = None,
) -> Result:
    """Distil one student under an agent's selection, and evaluate it on dev.

    With `learning` the agent explores and learns while it distils.
    """
    return evaluated(run_episode(agent, env, seed=seed, learning=learning, on_phase=on_phase), env)


def evaluated(episode: Episode, env: Env) -> Result:
    """Return an episode that `env` has just ended, with its student and how that one does on dev."""
    base = env.unwrapped
    assert isinstance(base, DistillationEnv)
    task = base.distiller.task
    evaluations = {split: base.distiller.evaluate(split) for split in task.reported}
    return Result(
        **vars(episode),
        student=copy.deepcopy(base.distiller.student),  # the next run will train the distiller's own again
        metrics=_reported(task, evaluations),
        examples=evaluations["dev"].examples,
        further_examples={split: one.examples for split, one in evaluations.items() if split != "dev"},
        padding=base.distiller.padding,
    )


def evaluated_teachers(distiller: Distiller) -> list[dict[str, float]]:
    """Return how each teacher by itself does on dev, under the names that a `Result` has its student's metrics by."""
    task, training = distiller.task, distiller.training
    splits = {split: distiller.encoded(split) for split in task.reported}
    return [
        _reported(
            task,
            {
                split: evaluate(teacher, task, encoded, np.arange(len(encoded)), training.batch_size, distiller.dtype)
                for split, encoded in splits.items()
            },
        )
        for teacher in distiller.teachers
    ]


def _reported(task: Task[Any], evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    """Return the metrics and the loss on each split for reporting, by names that begin as its do."""
    return {
        prefix + name: value
        for split, prefix in task.reported.items()
        for name, value in {**evaluations[split].metrics, "loss": evaluations[split].loss}.items()
    }
