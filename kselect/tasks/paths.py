"""Data sets that the `datasets` library saved in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kselect.errors import KselectError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
import os

from kselect.errors import near_path

SAVED = "dataset_dict.json"
"""What `DatasetDict.save_to_disk` leaves in its folder."""


def load_saved(folder: Path) -> DatasetDict | Dataset:
    """Load what `save_to_disk` left in a folder; raises `KselectError` where it is damaged, or there is none."""
    import pyarrow
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise KselectError(
            f"{folder} cannot be loaded as a saved data set ({first_line(error)}): save it again."
        ) from error


def first_line(error: BaseException) -> str:
    """Return an error's message without what follows its first line."""
    return str(error).strip().partition("\n")[0]


def resolve_path(path: str, data_dir: str | Path | None = None) -> str:
    """Return a path as it is given or, where only the folder of data has it, as it is there.

    That folder is `data_dir` or, without it, the environment variable KSELECT_DATA.
    """
    folder = _data_folder(data_dir)
    if folder is None or Path(path).expanduser().exists():
        return path
    inside = folder / path
    return str(inside) if inside.exists() else path


def find(path: str, data_dir: str | Path | None = None) -> Path:
    """Return a file's path as `resolve_path` does.

    Raises:
        KselectError: it is in neither folder; with the nearest name that is in one.
    """
    place = Path(resolve_path(path, data_dir))
    try:
        place.expanduser().stat()
    except FileNotFoundError:
        raise KselectError(_missing(path, data_dir)) from None
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
