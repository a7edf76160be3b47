"""The tasks of a comparison, by name or by YAML file, and the settings of each of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kselect.cli.parser import Arguments, Command
from kselect.config import (
    AgentConfig,
    CompareSettings,
    DistillSettings,
    EnvSettings,
    RunConfig,
    TaskConfig,
    names_with,
)
from kselect.config.yaml_file import parse, read
from kselect.errors import KselectError
from kselect.recipes import resolve

PLACEHOLDER = "{task}"
"""Written in the path of a teacher in place of the name of its task."""
EXAMPLE = f"runs/{PLACEHOLDER}-teacher/model"
SHARED = ("data_dir", "max_length", "reward_fraction", "train_limit", "data_seed")
"""Settings of a task that several tasks may have in common."""
OF_ONE_TASK = tuple(name for name in names_with(TaskConfig) if name not in SHARED)
SOURCES = ("task", *names_with(TaskConfig, is_data_source=True))


@dataclass(frozen=True)
class CompareCommand(Command[CompareSettings]):
    """`kselect compare`, whose `tasks` are read into the settings of each task."""

    def build(self, arguments: Arguments) -> CompareSettings:
        """Return the settings: with `tasks`, those of the first task, and there all that differ, as JSON."""
        given = {name: value for name, value in arguments.values.items() if name == "tasks"}
        entries = self._typed(given, arguments.origins).get("tasks")
        if not entries:
            return super().build(arguments)
        for name in OF_ONE_TASK:
            if arguments.origins.get(name) == f"--{name}":
                raise KselectError(
                    f"{name} belongs to a single task, and tasks names its own: leave it out, or give it in the YAML "
                    "file of that task.",
                    setting=name,
                )
        named: dict[str | None, CompareSettings] = {}
        for entry in entries:
            settings = self._settings_of(entry, arguments, is_only=len(entries) == 1)
            if settings.task.task in named:
                raise KselectError(f"tasks has {settings.task.task} twice: give each task once.", setting="tasks")
            named[settings.task.task] = settings
        every = list(named.values())
        return every[0].replace(tasks=[json.dumps(each.select(EnvSettings).to_dict()) for each in every])

    def _settings_of(self, entry: str, arguments: Arguments, is_only: bool) -> CompareSettings:
        """Return the settings of one task: options, over its entry in `tasks`, over other YAML files."""
        source, own = self._read_entry(entry)
        options = {name for name, origin in arguments.origins.items() if origin == f"--{name}"}
        base = {
            name: value
            for name, value in arguments.values.items()
            if name in options or (name not in OF_ONE_TASK and name not in own)
        }
        own = {name: value for name, value in own.items() if name not in options}
        _check_teacher(own, base, source, is_only)
        merged = Arguments(
            {**base, **own, "tasks": []},
            {**arguments.origins, **{name: f"{source}: {name}" for name in own}},
        )
        try:
            settings = super().build(merged)
            name = _name_of(settings.task)
        except KselectError as error:
            raise KselectError(merged.locate(error, self.settings_class)) from error
        return settings.replace(task=name, teacher=_fill(settings.model.teacher, name))

    def _read_entry(self, entry: str) -> tuple[str, dict[str, Any]]:
        """Return where an entry of `tasks` is from, and the settings that it gives."""
        if entry.lstrip().startswith("{"):  # of the config.yaml of a comparison
            values = parse(entry)
            if not isinstance(values, dict):
                raise KselectError(f"tasks has {entry[:60]}, which is not a mapping.", setting="tasks")
            source = f"tasks, {values.get('task')}"
        elif Path(entry).suffix in (".yaml", ".yml") or len(Path(entry).parts) > 1:
            source, values = entry, read(entry, "--tasks")
        else:
            return entry, {"task": _known(entry)}
        self._check_known(source, values)
        for key in values:
            if key not in names_with(EnvSettings):
                raise KselectError(f"{source}: {key} is shared by all tasks: leave it out there, and give it once.")
        if not any(values.get(name) for name in SOURCES):
            raise KselectError(f"{source} names no task: give its task or, for a custom dataset, train_file.")
        return source, values


def tasks_of(settings: CompareSettings) -> list[CompareSettings]:
    """Return the settings of each task of a comparison."""
    return [settings.replace(**json.loads(text)) for text in settings.comparison.tasks] or [settings]


def settings_of_run(settings: CompareSettings, agent: AgentConfig, seed: int) -> DistillSettings:
    """Return the settings of one run, given those of its task.

    The knowledge is the agent's own, overridden by settings that differ from the defaults.
    """
    shared = {**vars(settings.select(EnvSettings)), "knowledge": resolve(agent, **settings.knowledge.changed())}
    return DistillSettings(**shared, agent=agent, run=RunConfig(seed=seed))


@contextmanager
def naming_run(label: str, task: str) -> Iterator[None]:
    """Begin the message of an error with the agent and the task that it is about."""
    try:
        yield
    except KselectError as error:
        raise KselectError(f"{label} on {task}: {error}", setting=error.setting) from error


def _check_teacher(own: dict[str, Any], shared: dict[str, Any], source: str, is_only: bool) -> None:
    """Refuse a task without a teacher, and one teacher for several tasks."""
    if own.get("teacher") or own.get("teacher_columns") or (is_only and shared.get("teacher_columns")):
        return
    teacher = shared.get("teacher")
    if not teacher:
        raise KselectError(
            f"{source} has no teacher: give the path of each task's teacher as a pattern, such as {EXAMPLE}.",
            setting="teacher",
        )
    if not is_only and PLACEHOLDER not in str(teacher):
        raise KselectError(
            f"teacher is {teacher}, but each task needs its own: write {PLACEHOLDER} for the name of the task, "
            f"as in {EXAMPLE}.",
            setting="teacher",
        )


def _fill(teacher: str | list[str] | None, task: str) -> str | list[str] | None:
    """Return the teachers of a task."""
    if teacher is None:
        return None
    if isinstance(teacher, str):
        return teacher.replace(PLACEHOLDER, task)
    return [each.replace(PLACEHOLDER, task) for each in teacher]


def _name_of(config: TaskConfig) -> str:
    from kselect.tasks.registry import task_name  # imports NumPy, which `--help` has no use for

    return task_name(config) if config.own else _known(task_name(config))


def _known(name: str) -> str:
    """Return the name of a built-in task."""
    from kselect.tasks.registry import canonical  # as above

    try:
        return canonical(name)
    except KselectError as error:
        path = Path("configs", f"{name}.yaml")
        lies_here = f", such as {path}, which lies here" if path.is_file() else ""
        raise KselectError(
            f"{error} For a custom dataset, give a YAML file of its settings{lies_here}.", setting="tasks"
        ) from None
