"""Saved models, policies and runs, found by a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from kselect.config import TaskConfig, names_with
from kselect.config.yaml_file import read

MODELS = {"student": "student", "model": "teacher"}
"""Kind of a run's model, by its folder within the run."""
POLICY = "policy"
SOURCES = names_with(TaskConfig, is_data_source=True)


def find_model(path: str) -> str:
    """Return the folder of the model in a run folder; any other path, or hub id, unchanged."""
    return next((str(Path(path) / name) for name in MODELS if (Path(path) / name / "config.json").is_file()), path)


def kind_of(path: str) -> str:
    """Return "student" or "teacher" for the model of a run, "model" for one from elsewhere."""
    return MODELS.get(Path(find_model(path)).name, "model") if find_settings(path) else "model"


def export_folder(path: str, form: str = "onnx") -> Path:
    """Return where a model is exported to by default: next to it, that is in its run's folder; a hub id's, here."""
    model = Path(find_model(path))
    return (model.parent if model.is_dir() else Path()) / form


def find_policy(path: str) -> Path | None:
    """Return the folder of a policy, given it or the folder of its run; None where there is no policy."""
    return next((folder for folder in (Path(path), Path(path) / POLICY) if (folder / "agent.json").is_file()), None)


def find_settings(path: str) -> dict[str, Any]:
    """Return the settings of the run that a model or policy is from; empty where it is from none."""
    for folder in (Path(path), Path(path).parent):
        if (folder / "config.yaml").is_file() and any((folder / name).is_dir() for name in (*MODELS, POLICY)):
            return read(str(folder / "config.yaml"))
    return {}


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
