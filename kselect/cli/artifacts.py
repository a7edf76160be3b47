"""The settings of the run that a saved model is from, as defaults of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from kselect.config import TaskConfig, names_with
from kselect.runs.artifacts import find_settings

SOURCES = names_with(TaskConfig, is_data_source=True)


def task_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task and data settings of the run that `model` is from, unless another task is given.

    Where only data are given, they are read as the run's own were.
    """
    settings = find_settings(values.get("model", ""))
    other_task = any(values.get(name) not in (None, settings.get(name)) for name in ("task", "task_type"))
    is_custom = any(settings.get(name) for name in SOURCES)
    source = next((name for name in SOURCES if _is_other(name, values, settings)), None)
    if other_task or (not is_custom and (source or values.get("test_file") is not None)):
        return {}
    left_out = names_with(TaskConfig, describes_data=True) if source else ()
    if source and not settings.get(source):  # columns of files have numbers, those of datasets names
        left_out += ("word_column", "tag_column")
    return {f.name: settings[f.name] for f in fields(TaskConfig) if f.name in settings and f.name not in left_out}


def teacher_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task and data settings of the teacher's run, unless a task or data are given."""
    if any(values.get(name) is not None for name in ("task", *SOURCES)):
        return {}
    teacher = values.get("teacher")
    first = teacher[0] if isinstance(teacher, list) and teacher else teacher
    return task_defaults({**values, "model": first}) if isinstance(first, str) else {}


def _is_other(name: str, values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Return whether data are given under a name that are not the run's own, which it stores by where they were."""
    if values.get(name) is None:
        return False
    from kselect.tasks.paths import resolve_path  # imports NumPy, which `--help` has no use for

    folder = values.get("data_dir") or settings.get("data_dir")
    return settings.get(name) not in (values[name], resolve_path(values[name], folder))
