"""Further tasks of a command, each as a copy of its settings with what a YAML file changes."""

from __future__ import annotations

from collections.abc import Sequence

from kselect.cli.parser import Command, S
from kselect.config import EnvSettings, TaskConfig, names_with
from kselect.config.yaml_file import parse, read
from kselect.errors import KselectError


def settings_of_tasks(settings: S, also: Sequence[str], command: Command[S]) -> list[S]:
    """Return the settings of each task: those of the command, and copies with what each of `also` changes."""
    every = [settings]
    for source in also:
        is_text = source.lstrip().startswith("{")
        changes, name = (parse(source), "also") if is_text else (read(source, "--also"), source)
        if not isinstance(changes, dict):
            raise KselectError("also is not a mapping: give a YAML file for each further task.", setting="also")
        for key in ("task", "teacher"):
            if key not in changes:
                raise KselectError(f"{name} names no {key}: a further task needs at least its task and its teacher.")
        for key in changes:
            if key in command.hints and key not in names_with(EnvSettings):
                raise KselectError(f"{name}: {key} is shared by all tasks: leave it out there, and give it once.")
        if not changes.keys().isdisjoint(names_with(TaskConfig, is_data_source=True)):
            names = ("unlabelled_file", "transfer_file", "transfer_columns", "transfer_limit")
            first = dict.fromkeys(names)  # these belong to the first task's own data
            changes = {**first, **changes}
        every.append(command.override(settings, changes, name))
    return every
