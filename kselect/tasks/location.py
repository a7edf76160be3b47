"""Where a file of one's own lies: in the present folder or, where it is not there, in the folder of data."""

from __future__ import annotations

import os
from pathlib import Path

from kselect.errors import UserError, near_path


def located(path: str, data_dir: str | Path | None = None) -> str:
    """Return a path as it is given or, where only the folder of data has it, as it is there.

    That folder is `data_dir` or, without it, the environment variable KSELECT_DATA.
    """
    folder = _data_folder(data_dir)
    if folder is None or Path(path).expanduser().exists():
        return path
    inside = folder / path
    return str(inside) if inside.exists() else path


def find(path: str, data_dir: str | Path | None = None) -> Path:
    """Return a file's path as `located` does.

    Raises:
        UserError: it is in neither folder; with the nearest name that is in one.
    """
    place = Path(located(path, data_dir))
    try:
        place.expanduser().stat()
    except FileNotFoundError:
        raise UserError(_missing(path, data_dir)) from None
    except OSError:  # such as a folder that may not be read, which whoever reads the file tells
        pass
    return place


def _data_folder(data_dir: str | Path | None) -> Path | None:
    root = data_dir or os.environ.get("KSELECT_DATA")
    return Path(root).expanduser() if root else None


def _missing(path: str, data_dir: str | Path | None) -> str:
    wanted, folder = Path(path).expanduser(), _data_folder(data_dir)
    if wanted.is_absolute():
        looked, folders = "", [Path()]
    elif folder is None:
        looked, folders = f" in the present folder ({Path.cwd()}), and KSELECT_DATA is not set", [Path()]
    else:
        named = "--data_dir" if data_dir else "KSELECT_DATA"
        looked, folders = f" in the present folder ({Path.cwd()}) nor in {named} ({folder})", [Path(), folder]
    near = next(filter(None, (near_path(wanted, Path.is_file, root) for root in folders)), None)
    hint = f"did you mean '{near}'? Put" if near else "put"
    return f"{path} does not exist{looked}: {hint} the file there, or give another path."
