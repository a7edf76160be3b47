"""The training functions of the library: learn a policy over episodes, and distil one student under a policy."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from kselect.agents.agent import Agent
from kselect.distillation.callback import DistillerCallback, check_callbacks
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import Evaluation, evaluate
from kselect.distillation.teacher.columns import evaluate_columns
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError, check_type
from kselect.models.classifier import Classifier
from kselect.tasks.task import Task
from kselect.training.episode import Episode, OnEpisode, OnPhase
from kselect.training.runner import ENVIRONMENT, EpisodeRunner
from kselect.training.vector import Env, VectorEnv


@dataclass(frozen=True)
class Result(Episode):
    """A finished distillation.

    Attributes:
        student: The trained student.
        metrics: The task's metrics and the gold loss (nats, or squared error) on dev; on further splits for reporting
            under `mismatched/...`.
        examples: Number of examples of dev.
        further_examples: Number of examples of each further split, by its name.
        padding: Share of padding among the tokens of the last epoch's batches; it varies a little with the order of the
            data.
    """

    student: Classifier
    metrics: dict[str, float]
    examples: int
    further_examples: dict[str, int]
    padding: float


def run_episode(
    agent: Agent,
    env: Env,
    *,
    seed: int | None,
    learning: bool,
    on_phase: OnPhase | None = None,
    callbacks: Iterable[DistillerCallback] = (),
) -> Episode:
    """Run one episode.

    Args:
        agent: Selects the knowledge.
        env: A `DistillationEnv`, or a wrapper of one.
        seed: Of the order of the data and of dropout; None for the environment's next.
        learning: Whether the agent explores and learns.
        on_phase: Called after each phase with its record.
        callbacks: See `DistillerCallback`.
    """
    runner = EpisodeRunner(agent, [env], seeds=[seed], learning=learning, callbacks=callbacks)
    return runner.run(on_phase)[0]


def make_runner(
    agent: Agent,
    envs: Sequence[Env] | VectorEnv,
    episodes: int,
    *,
    seed: int = 0,
    callbacks: Iterable[DistillerCallback] = (),
) -> EpisodeRunner:
    """Return a runner of the episodes that an agent is to learn from, each under its own seed derived from `seed`."""
    count = envs.num_envs if isinstance(envs, VectorEnv) else len(envs)
    seeds = [_learning_seed(seed, index) for index in range(count)]
    return EpisodeRunner(agent, envs, episodes, seeds=seeds, learning=True, callbacks=callbacks)


def learn(
    agent: Agent,
    env: Env | Sequence[Env] | VectorEnv,
    episodes: int,
    *,
    seed: int = 0,
    on_phase: OnPhase | None = None,
    on_episode: OnEpisode | None = None,
    callbacks: Iterable[DistillerCallback] = (),
) -> list[Episode]:
    """Train a selection policy over several distillations.

    Args:
        agent: The agent to train.
        env: A `DistillationEnv`; several, which take turns; or a `gymnasium.vector` of them, which run in parallel.
        episodes: Number of distillations in all.
        seed: The seeds of all episodes are derived from it.
        on_phase: Called after each phase with its record, see `DistillerCallback.on_phase_end`.
        on_episode: Called after each episode.
        callbacks: May watch the training, and stop it.

    Returns:
        The episodes, the last of which may be truncated by a callback.

    Raises:
        KselectError: Environments that one policy cannot serve, or a number of episodes that is not a multiple of the
            number of environments in a vector.
    """
    if episodes < 1:
        raise KselectError(f"episodes is {episodes}: give a positive number.", setting="episodes")
    if not isinstance(env, Sequence | VectorEnv):
        check_type("env", env, gymnasium.Env, f"{ENVIRONMENT}, several, or a vector of them")
    envs = [env] if isinstance(env, gymnasium.Env) else env
    return make_runner(agent, envs, episodes, seed=seed, callbacks=callbacks).run(on_phase, on_episode)


def _learning_seed(seed: int, index: int) -> int:
    """Derive the seed of an environment's first episode, such that no distillation under the same seed repeats it."""
    key = [seed, 1, index] if index else [seed, 1]
    return int(np.random.SeedSequence(key).generate_state(1)[0] // 2)


def rollout(
    agent: Agent,
    env: Env,
    *,
    seed: int = 0,
    learning: bool = False,
    on_phase: OnPhase | None = None,
    callbacks: Iterable[DistillerCallback] = (),
) -> Result:
    """Distil one student under an agent's selection, and evaluate it on dev.

    Args:
        agent: Selects the knowledge.
        env: A `DistillationEnv`, or a wrapper of one.
        seed: Of the order of the data and of dropout.
        learning: Whether the agent explores and learns while it distils.
        on_phase: Called after each phase with its record, see `DistillerCallback.on_phase_end`.
        callbacks: May watch the training, and stop it: then the student is evaluated as it is.
    """
    callbacks = check_callbacks(callbacks)
    episode = run_episode(agent, env, seed=seed, learning=learning, on_phase=on_phase, callbacks=callbacks)
    return evaluated(episode, env, callbacks)


def evaluated(episode: Episode, env: Env, callbacks: Iterable[DistillerCallback] = ()) -> Result:
    """Return an episode that `env` has just ended with its student and how that does on dev."""
    base = env.unwrapped
    assert isinstance(base, DistillationEnv)
    distiller, task = base.distiller, base.distiller.task
    evaluations = {split: distiller.evaluate(split) for split in task.reported}
    metrics = _reported(task, evaluations)
    for callback in {id(each): each for each in (*callbacks, *distiller.callbacks)}.values():
        callback.on_evaluate(metrics, distiller.control)
    return Result(
        **vars(episode),
        student=copy.deepcopy(distiller.student),  # the next run trains the distiller's own again
        metrics=metrics,
        examples=evaluations["dev"].examples,
        further_examples={split: each.examples for split, each in evaluations.items() if split != "dev"},
        padding=distiller.padding,
    )


def evaluated_teachers(distiller: Distiller) -> list[dict[str, float]]:
    """Return the metrics of each teacher, under the same names as a student's in `Result`.

    The last is that of columns of the data, if all splits for reporting have them.
    """
    task, training = distiller.task, distiller.training
    found = []
    for i, teacher in enumerate(distiller.teachers):
        splits = {split: distiller.encoded(split, teacher=i) for split in task.reported}
        evaluations = {
            split: evaluate(teacher, task, encoded, np.arange(len(encoded)), training.batch_size, distiller.dtype)
            for split, encoded in splits.items()
        }
        found.append(_reported(task, evaluations))
    of_columns = {split: evaluate_columns(distiller.student.head, task, split) for split in task.reported}
    known = {split: evaluation for split, evaluation in of_columns.items() if evaluation is not None}
    return [*found, _reported(task, known)] if len(known) == len(of_columns) else found


def _reported(task: Task[Any], evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    """Return the metrics and the loss on each split for reporting, under the split's prefix."""
    return {
        prefix + name: value
        for split, prefix in task.reported.items()
        for name, value in {**evaluations[split].metrics, "loss": evaluations[split].loss}.items()
    }
