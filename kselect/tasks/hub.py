"""Data sets of the `datasets` library: saved in a folder, or on the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.errors import KselectError, did_you_mean, first_line
from kselect.tasks.table import Table

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SAVED = "dataset_dict.json"
"""File that `DatasetDict.save_to_disk` writes into its folder."""
DEV_SPLITS = ("validation", "dev")
"""Names of the split for reporting, in order of preference."""
HUB_SECONDS = 10.0
"""How long to wait for the hub's first answer."""


def open_dataset(name: str, config: str | None = None) -> DatasetDict | Dataset:
    """Load a data set; one without splits from a folder that holds a single one.

    Args:
        name: a folder that `save_to_disk` wrote or, where there is no such folder, a data set on the hub.
        config: which configuration of a data set on the hub.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return load_saved(folder)
    if folder.is_file():
        raise KselectError(f"{name} is a file, not a data set: give it as train_file.", setting="dataset")
    try:
        return load_from_hub(name, config)
    except hub_errors() as error:
        raise KselectError(
            f"{name} is not a folder, and not available as a data set on the hub ({first_line(error)}): "
            "give a folder that datasets saved, or another name.",
            setting="dataset",
        ) from error


def split_names(data: DatasetDict | Dataset) -> tuple[str, ...]:
    """Return the names of a data set's splits; "train" where it has none."""
    return tuple(data) if isinstance(data, dict) else ("train",)


def select_split(data: DatasetDict | Dataset, split: str, source: str) -> Dataset:
    """Return one split of a data set; a data set without splits as it is."""
    if not isinstance(data, dict):
        return data
    if split not in data:
        raise KselectError(
            f"{source} has no split '{split}'{did_you_mean(split, data)} Splits found: {', '.join(data)}."
        )
    return data[split]


def dataset_table(source: str, data: Dataset, first: int = 0) -> Table:
    """Return a data set, which follows `first` other rows, as a table; ids of a ClassLabel become their names."""
    return Table(source, data.to_dict(), first=first).with_class_names(class_names(data.features))


def class_names(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the label names, in id order, of each column that is a ClassLabel or a list of them."""
    kinds = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    return {name: tuple(kind.names) for name, kind in kinds.items() if getattr(kind, "names", None)}


def load_saved(folder: Path) -> DatasetDict | Dataset:
    """Load what `save_to_disk` wrote into a folder."""
    import pyarrow
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise KselectError(
            f"{folder} cannot be loaded as a saved data set ({first_line(error)}): save it again."
        ) from error


def load_from_hub(name: str, config: str | None = None) -> DatasetDict:
    """Load a data set from the hub, or from its local cache where HF_HUB_OFFLINE is set.

    Raises:
        Exception: one of `hub_errors`, where the hub does not answer or does not serve it.
    """
    from datasets import load_dataset
    from huggingface_hub import HfApi, constants

    # Loading retries for half a minute where there is no network; asking first does not. In offline mode there is
    # nothing to ask.
    if not constants.HF_HUB_OFFLINE:
        HfApi().dataset_info(name, timeout=HUB_SECONDS)
    return load_dataset(name, config)


def hub_errors() -> tuple[type[Exception], ...]:
    """Return the errors with which `load_from_hub` fails."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HFValidationError, HTTPError

    return (OSError, ValueError, HTTPError, HFValidationError, DatasetsError)
