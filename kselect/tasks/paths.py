"""Paths of data files: as given or, failing that, in the data folder."""

from __future__ import annotations

import os
from pathlib import Path

from kselect.errors import KselectError, near_path

STDIN = "/dev/stdin"
"""The path that means standard input."""


def resolve_path(path: str, data_dir: str | Path | None = None) -> str:
    """Return a path as it is given or, where it exists only in the data folder, as it is there.

    The data folder is `data_dir` or, without it, the environment variable KSELECT_DATA.
    """
    folder = _data_folder(data_dir)
    if folder is None or Path(path).expanduser().exists():
        return path
    inside = folder / path
    return str(inside) if inside.exists() else path


def find_file(path: str, data_dir: str | Path | None = None) -> Path:
    """Return a file's path as `resolve_path` does, and that of standard input for `-`."""
    if path == "-":
        return Path(STDIN)
    resolved = Path(resolve_path(path, data_dir))
    try:
        resolved.expanduser().stat()
    except FileNotFoundError:
        raise KselectError(_missing(path, data_dir)) from None
    except OSError:  # such as a folder without permission to read; reading the file reports it
        pass
    return resolved


def _data_folder(data_dir: str | Path | None) -> Path | None:
    root = data_dir or os.environ.get("KSELECT_DATA")
    return Path(root).expanduser() if root else None


def _missing(path: str, data_dir: str | Path | None) -> str:
    wanted, folder = Path(path).expanduser(), _data_folder(data_dir)
    if wanted.is_absolute():
        searched, folders = "", [Path()]
    elif folder is None:
        searched, folders = f" in the current folder ({Path.cwd()}), and KSELECT_DATA is not set", [Path()]
    else:
        name = "data_dir" if data_dir else "KSELECT_DATA"
        searched, folders = f" in the current folder ({Path.cwd()}) nor in {name} ({folder})", [Path(), folder]
    near = next(filter(None, (near_path(wanted, Path.is_file, root) for root in folders)), None)
    hint = f"did you mean '{near}'? Put" if near else "put"
    return f"{path} does not exist{searched}: {hint} the file there, or give another path."
