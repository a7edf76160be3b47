"""Where a model lies: a folder, or a name on the hub."""

from __future__ import annotations

from pathlib import Path

from kselect.config import RunConfig
from kselect.errors import KselectError, near_path


def check_location(path: str | Path) -> None:
    """Refuse what can be no model: a folder without one, or the path of a folder that is not there.

    Raises:
        KselectError: in one line, with the nearest folder that is there.
    """
    folder = Path(path)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            inner = next((one for one in ("model", "student") if (folder / one / "config.json").is_file()), None)
            instead = f"{folder / inner}, where that run left it" if inner else "a folder that save_pretrained wrote"
            raise KselectError(f"No model in {path}: config.json is missing. Give {instead}.")
    elif folder.is_absolute() or str(path).startswith(".") or str(path).count("/") > 1 or _among_runs(folder):
        near = near_path(folder, Path.is_dir)
        hint = f": did you mean '{near}'?" if near else f".{_to_be_made(folder)}"
        raise KselectError(f"No such model folder: {path}{hint} Give a folder that save_pretrained wrote, or a hub id.")


def _among_runs(path: Path) -> bool:
    """Whether a path of two parts, which might be a hub id, is that of a run: its first part holds runs, or will."""
    above = path.parent
    return above != Path() and (str(above) == RunConfig.runs_dir or any(above.glob("*/config.yaml")))


def _to_be_made(path: Path) -> str:
    """Return what to say of the path that a teacher would have in its run, `<runs_dir>/<run_name>/model`."""
    run = path.parent
    if path.name != "model" or run.exists() or not _among_runs(run):
        return ""
    place = "" if str(run.parent) == RunConfig.runs_dir else f" --runs_dir {run.parent}"
    return f" `kselect train-teacher --task ... --encoder ... --run_name {run.name}{place}` would make it."
