"""Saved models, policies and runs, found by a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kselect.config.yaml_file import read
from kselect.errors import KselectError

MODELS = {"student": "student", "model": "teacher"}
"""Kind of a run's model, by its folder within the run."""
POLICY = "policy"


def find_model(path: str) -> str:
    """Return the folder of the model in a run folder; any other path, or hub id, unchanged."""
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
            settings = read(str(folder / "config.yaml"))
            if "task" not in settings:
                raise KselectError(f"{folder / 'config.yaml'} does not name the task of the run: restore the file.")
            return settings
    return {}


def artifacts_folder(path: str) -> Path:
    """Return the folder for what is made of a model: its run's, or the one that it is in; for a hub id, the current."""
    model = Path(find_model(path))
    return model.parent if model.is_dir() else Path()
