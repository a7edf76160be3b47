"""Data sets of the `datasets` library with a label for each token, from a saved folder or the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.errors import KselectError, did_you_mean
from kselect.tasks.paths import first_line, load_saved
from kselect.tasks.table import Table
from kselect.tasks.words.sentence import Origin, TaggedSentence

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def read_token_labels(
    name: str | Path,
    split: str = "train",
    *,
    config: str | None = None,
    word_column: str = "tokens",
    tag_column: str | None = "ner_tags",
) -> list[TaggedSentence]:
    """Read sentences from a column of word lists and one of tag lists; rows without words are none.

    Arguments:
        name: a folder that `save_to_disk` left or, where there is no such folder, a data set on the hub.
        split: which part; where the folder holds but one data set, it is that one.
        config: which of the hub data set's configurations.
        word_column: each row a list of texts.
        tag_column: each row a list of tags, as names or as ids of a ClassLabel; None for data to predict.

    Raises `KselectError` for data that cannot be had, an unknown split or column, ids without names, and, by row, a list
    that is none, that has an empty word or an unknown id, or that differs in length from the row's other one.
    """
    source = f"{name} ({split})"
    data = _part(name, split, config)
    table = Table(source, data.to_dict())
    names = None if tag_column is None else _label_names(source, data.features, tag_column)
    sentences = []
    columns = [table.values(column) for column in (word_column, tag_column) if column is not None]
    for row, values in enumerate(zip(*columns, strict=True)):
        named = {"word_column": word_column, "tag_column": tag_column}
        for (setting, column), value in zip(named.items(), values, strict=False):
            if not isinstance(value, list):
                raise KselectError(
                    f"{table.place(row)} has no list in '{column}': name {split}'s lists as --{setting}."
                )
        if len({len(value) for value in values}) > 1:
            raise KselectError(
                f"{table.place(row)} has {len(values[0])} words and {len(values[1])} tags: mend or remove that row."
            )
        if values[0]:
            sentences.append(_sentence(Origin(source, row=row), values, names))
    if not sentences:
        raise KselectError(f"{source} holds no sentences: fill it, or give another.")
    return sentences


def splits_of(name: str | Path, config: str | None = None) -> tuple[str, ...]:
    """Return the names of a data set's parts; "train" where a folder holds but one data set.

    Raises `KselectError` for data that cannot be had.
    """
    folder = Path(name).expanduser()
    data = load_saved(folder) if folder.is_dir() else _from_hub(str(name), config)
    return tuple(data) if isinstance(data, dict) else ("train",)


def _sentence(origin: Origin, values: Sequence[list[Any]], names: Sequence[str] | None) -> TaggedSentence:
    words, tags = values[0], values[1] if len(values) > 1 else []
    for i, word in enumerate(words):
        if not isinstance(word, str) or not word.strip(" "):
            raise KselectError(f"{origin.place(i)} is empty or no text: mend or remove that row.")
    for i, tag in enumerate(tags):
        known = isinstance(tag, str) and tag if names is None else isinstance(tag, int) and 0 <= tag < len(names)
        if not known:
            wanted = "a tag" if names is None else f"an id from 0 to {len(names) - 1}"
            raise KselectError(f"{origin.place(i)} has the tag {tag!r}, expected {wanted}: mend or remove that row.")
    return TaggedSentence(tuple(words), tuple(tags if names is None else (names[tag] for tag in tags)), origin)


def _label_names(source: str, features: Mapping[str, Any], column: str) -> list[str] | None:
    """Return the names of a column's ids, or None where it holds names itself."""
    if column not in features:
        return None
    feature = getattr(features[column], "feature", None)
    names: list[str] | None = getattr(feature, "names", None)
    if names is None and "int" in str(getattr(feature, "dtype", "")):
        raise KselectError(f"{source} has numbers without names in '{column}': cast it to a list of ClassLabel.")
    return names


def _part(name: str | Path, split: str, config: str | None) -> Dataset:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return _chosen(_from_hub(str(name), config), split, str(name))
    data = load_saved(folder)
    if not isinstance(data, dict):
        return data
    return _chosen(data, split, str(name))


def _chosen(data: DatasetDict, split: str, source: str) -> Dataset:
    if split not in data:
        raise KselectError(
            f"{source} has no split '{split}'{did_you_mean(split, data)} Splits found: {', '.join(data)}."
        )
    return data[split]


def _from_hub(name: str, config: str | None) -> DatasetDict:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError, HTTPError

    from kselect.tasks.glue import HUB_SECONDS

    try:
        if not constants.HF_HUB_OFFLINE:
            # Loading retries for half a minute where there is no network; asking first does not.
            HfApi().dataset_info(name, timeout=HUB_SECONDS)
        return load_dataset(name, config)
    except (OSError, ValueError, HTTPError, HFValidationError, DatasetsError) as error:
        raise KselectError(
            f"{name} is no folder, and cannot be had as a data set of the hub either ({first_line(error)}): "
            "give a folder that datasets saved, or another name."
        ) from error
