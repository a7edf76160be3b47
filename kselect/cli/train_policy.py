"""Train a selection policy over repeated distillations.

Every episode distils one student from the start while the agent learns when to transfer which knowledge.
What is left is a policy for `kselect distill --agent`. Several tasks take turns; several episodes may be
played side by side.

Examples:
  kselect train-policy --task mrpc --teacher runs/teacher/model --layers 3 --episodes 8
  kselect train-policy --config configs/mrpc.yaml --agent deterministic-actor-critic
  kselect train-policy --config configs/mrpc.yaml --also configs/rte.yaml --episodes 8 --parallel 2
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.cli import values, yaml_file
from kselect.config import (
    AgentConfig,
    KnowledgeConfig,
    PhaseConfig,
    PolicyConfig,
    RunConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
)
from kselect.errors import UserError

if TYPE_CHECKING:
    from envs.distillation import DistillationEnv
    from kselect.distillation.distiller import Distiller
    from kselect.study.casting import Cast
    from kselect.study.rounds import Streams

NAME = "train-policy"
OF_A_TASK = (TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig, PhaseConfig)
PLAIN = [field.name for part in OF_A_TASK for field in fields(part)]


@dataclass
class Settings:
    """What `kselect train-policy` takes."""

    task: TaskConfig
    model: StudentConfig
    training: TrainingConfig
    knowledge: KnowledgeConfig
    phases: PhaseConfig
    agent: AgentConfig
    policy: PolicyConfig
    run: RunConfig


def run(settings: Settings) -> Path:
    """Train a selection policy and save it in a run folder, whose path is returned."""
    from kselect.cli.session import open_folder, prepare, recorded, resolved
    from kselect.study.casting import cast_learner
    from kselect.study.episode import practice
    from kselect.study.results import summarise_policy

    tasks = [settings, *_further_tasks(settings)]
    distillers = [prepare(task) for task in tasks]
    plain = [_plain(resolved(task, distiller)) for task, distiller in zip(tasks, distillers, strict=True)]
    # As they are, lest the run's config.yaml depend on files that may change.
    settings = replace(settings, policy=replace(settings.policy, also=[json.dumps(task) for task in plain[1:]]))
    agent, seed = settings.agent.agent, settings.run.seed
    cast = cast_learner(settings.agent, distillers[0], settings.phases, seed)
    envs = [
        cast.env,
        *(_same_env(cast, distiller, task) for distiller, task in zip(distillers[1:], tasks[1:], strict=True)),
    ]
    title = " + ".join(distiller.task.name for distiller in distillers)
    with (
        _side_by_side(plain, cast, settings.policy.parallel)
        if settings.policy.parallel > 1
        else nullcontext(envs) as stage
    ):
        series = practice(cast.agent, stage, settings.policy.episodes, seed=seed)
        folder = open_folder(settings, distillers[0], f"policy-{agent}", NAME, task=title)
        with recorded(folder, series, f"Training a policy on {title}") as on_phase:
            # Saved after every episode, so that a stopped run leaves what it has learned.
            episodes = series.play(on_phase, on_episode=lambda _: cast.agent.save(folder.path / "policy"))
            folder.write_results(summarise_policy(episodes, agent, seed, settings.policy.parallel))
    for i, episode in enumerate(episodes, 1):
        print(f"episode {i}: reward {episode.total_reward:.4f} ({episode.task})")
    print(f"policy: {folder.path / 'policy'}")
    return folder.path


def _further_tasks(settings: Settings) -> Iterator[Settings]:
    """Return the settings of each further task: those of the command, and what `also` says over them."""
    from kselect.cli.command import Command

    command = Command(__name__)
    for source in settings.policy.also:
        inline = source.lstrip().startswith("{")  # as a run's config.yaml has it
        changes = values.expand(dict[str, Any], source) if inline else yaml_file.read(source, "--also")
        name = "also" if inline else source
        for key in ("task", "teacher"):
            if key not in changes:
                raise UserError(f"{name} names no {key}: a further task needs at least its task and its teacher.")
        for key in changes:
            if key in command.hints and key not in PLAIN:
                raise UserError(f"{name}: {key} is one for all tasks: leave it out there, and give it to the command.")
        yield command.over(settings, changes, name)


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return what `kselect/Distillation-v0` takes out of a command's settings."""
    return {name: config[name] for name in PLAIN}


def _same_env(cast: Cast, distiller: Distiller, settings: Settings) -> DistillationEnv:
    """Make an environment like the one that the agent was made for, on another task."""
    from envs.distillation import DistillationEnv

    return DistillationEnv(distiller, cast.env.actions, settings.phases)


@contextmanager
def _side_by_side(tasks: list[dict[str, Any]], cast: Cast, parallel: int) -> Iterator[Streams]:
    """Give so many environments in processes of their own, over the tasks in turn."""
    from kselect.study.rounds import close_streams, open_streams

    streams = open_streams([{**tasks[i % len(tasks)], "actions": cast.env.actions} for i in range(parallel)])
    try:
        yield streams
    finally:
        close_streams(streams)
