"""Where a model is: a folder, or a name on the hub."""

from __future__ import annotations

import json
from pathlib import Path

from kselect.config import RunConfig
from kselect.errors import KselectError, near_path

ADAPTER = "adapter_config.json"
"""File that peft writes next to an adapter's weights."""
EXPORT = "predict.json"
"""File that an export has, which runs without a model."""


def check_location(path: str | Path) -> None:
    """Refuse a folder without a whole model, or the path of a folder that does not exist."""
    folder = Path(path)
    if folder.is_file():
        raise KselectError(f"{path} is a file: give a folder that save_pretrained wrote, or a hub id.")
    if folder.is_dir():
        _check_adapter(folder)
        if (folder / EXPORT).is_file():
            raise KselectError(
                f"{path} is an export, which answers by its own predict.py: give the folder of the model or of its run."
            )
        if not (folder / "config.json").is_file():
            inner = next((name for name in ("model", "student") if (folder / name / "config.json").is_file()), None)
            instead = f"{folder / inner}, where that run saved it" if inner else "a folder that save_pretrained wrote"
            raise KselectError(f"No model in {path}: config.json is missing. Give {instead}.")
    elif folder.is_absolute() or str(path).startswith(".") or str(path).count("/") > 1 or _is_among_runs(folder):
        near = near_path(folder, Path.is_dir)
        hint = f": did you mean '{near}'?" if near else f".{_how_to_train(folder)}"
        raise KselectError(f"No such model folder: {path}{hint} Give a folder that save_pretrained wrote, or a hub id.")


def _check_adapter(folder: Path) -> None:
    """Refuse a folder of an adapter, alone or next to a whole model, which would be loaded without it."""
    if not (folder / ADAPTER).is_file():
        return
    try:
        base = str(json.loads((folder / ADAPTER).read_text()).get("base_model_name_or_path", "its base model"))
    except (OSError, ValueError, AttributeError):
        base = "its base model"
    merge = f"merge it into {base} with peft's merge_and_unload, and give a folder with the result"
    if (folder / "config.json").is_file():
        raise KselectError(
            f"{folder} has an adapter ({ADAPTER}) next to a whole model, which would be loaded without it: {merge}, or "
            "remove the adapter's files."
        )
    raise KselectError(f"{folder} has an adapter ({ADAPTER}), not a whole model: {merge}.")


def _is_among_runs(path: Path) -> bool:
    """Whether a path of two parts, which might be a hub id, is that of a run: its first part holds runs, or will."""
    above = path.parent
    return above != Path() and (str(above) == RunConfig.runs_dir or any(above.glob("*/config.yaml")))


def _how_to_train(path: Path) -> str:
    """Return how to make the model at the path that a teacher would have in its run, `<runs_dir>/<run_name>/model`."""
    run = path.parent
    if path.name != "model" or run.exists() or not _is_among_runs(run):
        return ""
    return f" Training a teacher under the run_name {run.name} in {run.parent} would make it."
