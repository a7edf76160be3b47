"""Where a policy is learned: on one task, on several in turns, or in episodes side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium

from kselect.cli import values, yaml_file
from kselect.cli.command import Command
from kselect.cli.session import resolved
from kselect.config import EnvSettings, TaskConfig, names_with
from kselect.distillation.distiller import Distiller
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.recipes.policies import PolicySetup
from kselect.training.compatibility import check_same_spaces
from kselect.training.vector import VectorEnv
from kselect.training.workers import make_worker_envs, stop_worker_envs

SILENT = gymnasium.logger.ERROR + 1
OF_A_TASK = names_with(EnvSettings)


def every_task(settings: Any, command: Command) -> list[Any]:
    """Return the settings of each task: those of the command, and under them what each of `also` says over them.

    Raises:
        KselectError: a file of `also` that cannot be read, lacks task or teacher, or names what is one for all tasks.
    """
    found = [settings]
    for source in settings.policy.also:
        written_here = source.lstrip().startswith("{")  # as `inline` returns it
        changes = values.expand(dict[str, Any], source) if written_here else yaml_file.read(source, "--also")
        name = "also" if written_here else source
        for key in ("task", "teacher"):
            if key not in changes:
                raise KselectError(f"{name} names no {key}: a further task needs at least its task and its teacher.")
        for key in changes:
            if key in command.hints and key not in OF_A_TASK:
                raise KselectError(
                    f"{name}: {key} is one for all tasks: leave it out there, and give it to the command."
                )
        if not changes.keys().isdisjoint(
            names_with(TaskConfig, is_data_source=True)
        ):  # other data are not learned from by the first task's sentences
            changes = {"unlabelled_file": None, **changes}
        found.append(command.over(settings, changes, name))
    return found


def inline(settings: Any, distiller: Distiller) -> str:
    """Return a further task as one text, which unlike a file does not change: the form that config.yaml keeps."""
    return json.dumps(_plain(settings, distiller))


@contextmanager
def stage(
    setup: PolicySetup, tasks: Sequence[Any], distillers: Sequence[Distiller], parallel: int
) -> Iterator[list[DistillationEnv] | VectorEnv]:
    """Give an environment for each task, that of `setup` first, or `parallel` of them in processes of their own.

    Raises:
        KselectError: tasks that one policy cannot serve.
    """
    further = zip(tasks[1:], distillers[1:], strict=True)
    asked = _asked_of(setup.env)
    envs = [setup.env, *(DistillationEnv(distiller, phases=task.phases, **asked) for task, distiller in further)]
    check_same_spaces(envs)
    if parallel == 1:
        yield envs
        return
    plain = for_processes(setup, tasks, distillers)
    level = gymnasium.logger.min_level
    gymnasium.logger.min_level = SILENT  # it would print the traceback of a worker's error, which is raised here
    streams = make_worker_envs([plain[i % len(plain)] for i in range(parallel)])
    try:
        yield streams
    finally:
        stop_worker_envs(streams)
        gymnasium.logger.min_level = level


def for_processes(setup: PolicySetup, tasks: Sequence[Any], distillers: Sequence[Distiller]) -> list[dict[str, Any]]:
    """Return the plain settings that make each task's environment again in another process."""
    return [
        {**_plain(task, distiller), **_asked_of(setup.env), "seed": task.run.seed}
        for task, distiller in zip(tasks, distillers, strict=True)
    ]


def _asked_of(env: DistillationEnv) -> dict[str, Any]:
    """Return what an agent asks of its environment, whatever the task."""
    return {"actions": env.actions, "observe_cls": env.observe_cls}


def _plain(settings: Any, distiller: Distiller) -> dict[str, Any]:
    """Return what the environment's id takes out of a command's settings."""
    config = resolved(settings, distiller)
    return {name: config[name] for name in OF_A_TASK}
