"""Data sets that the `datasets` library saved in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kselect.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SAVED = "dataset_dict.json"
"""What `DatasetDict.save_to_disk` leaves in its folder."""


def load_saved(folder: Path) -> DatasetDict | Dataset:
    """Load what `save_to_disk` left in a folder; raises `UserError` where it is damaged, or there is none."""
    import pyarrow
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise UserError(
            f"{folder} cannot be loaded as a saved data set ({first_line(error)}): save it again."
        ) from error


def first_line(error: BaseException) -> str:
    """Return an error's message without what follows its first line."""
    return str(error).strip().partition("\n")[0]
