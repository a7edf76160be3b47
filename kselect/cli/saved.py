"""What a path holds that was saved: a model, a policy, or the folder of the run that left one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from kselect.cli import yaml_file
from kselect.config import TaskConfig, names_with

MODELS = {"student": "student", "model": "teacher"}
"""What a run's model is, by the folder that the run has it in."""
POLICY = "policy"
OTHER_DATA = names_with(TaskConfig, is_data_source=True)


def find_model(path: str) -> str:
    """Return the folder of the model in a run folder; any other path, or hub id, as it is."""
    return next((str(Path(path) / name) for name in MODELS if (Path(path) / name / "config.json").is_file()), path)


def kind_of(path: str) -> str:
    """Return "student" or "teacher" for the model of a run, "model" for one from elsewhere."""
    return MODELS.get(Path(find_model(path)).name, "model") if find_settings(path) else "model"


def find_policy(path: str) -> Path | None:
    """Return the folder of a policy, given it or the folder of its run; None where there is no policy."""
    return next((folder for folder in (Path(path), Path(path) / POLICY) if (folder / "agent.json").is_file()), None)


def find_settings(path: str) -> dict[str, Any]:
    """Return the settings of the run that a model or policy is from; empty where it is from none."""
    for folder in (Path(path), Path(path).parent):
        if (folder / "config.yaml").is_file() and any((folder / name).is_dir() for name in (*MODELS, POLICY)):
            return yaml_file.read(str(folder / "config.yaml"))
    return {}


def _is_another(name: str, given: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether data are given under a name that are not the run's own, which keeps them by where they were found."""
    if given.get(name) is None:
        return False
    from kselect.tasks.paths import resolve_path  # of no use to those who ask for help

    folder = given.get("data_dir") or settings.get("data_dir")
    return settings.get(name) not in (given[name], resolve_path(str(given[name]), folder))


def task_of_run(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task and data settings of the run that `model` is from, unless others are given.

    Where only data are given, they are read as the run's own were.

    Args:
        given: every setting that a command line and its files name.
    """
    settings = find_settings(str(given.get("model", "")))
    another = any(given.get(name) not in (None, settings.get(name)) for name in ("task", "task_type"))
    own = any(settings.get(name) for name in OTHER_DATA)
    other = next((name for name in OTHER_DATA if _is_another(name, given, settings)), None)
    if another or (not own and (other or given.get("test_file") is not None)):
        return {}
    left = names_with(TaskConfig, describes_data=True) if other else ()
    if other and not settings.get(other):  # columns of files have numbers, those of data sets names
        left += ("word_column", "tag_column")
    return {f.name: settings[f.name] for f in fields(TaskConfig) if f.name in settings and f.name not in left}
