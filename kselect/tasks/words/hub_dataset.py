"""Sentences as rows of a table: a list of words and a list of tags each (JSONL, Parquet, `datasets`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kselect.errors import KselectError
from kselect.tasks.hub import dataset_table, open_dataset, select_split
from kselect.tasks.labels import visible
from kselect.tasks.table import Table
from kselect.tasks.words.sentence import Origin, TaggedSentence

WORD_COLUMN, TAG_COLUMN = "tokens", "ner_tags"
"""Default names of the columns."""


def read_token_labels(
    name: str | Path,
    split: str = "train",
    *,
    config: str | None = None,
    word_column: str = WORD_COLUMN,
    tag_column: str | None = TAG_COLUMN,
) -> list[TaggedSentence]:
    """Read sentences from a data set of the `datasets` library; rows without words are left out.

    Args:
        name: a folder that `save_to_disk` wrote or, where there is no such folder, a data set on the hub.
        split: which split; a folder with a single data set is "train".
        config: which configuration of a data set on the hub.
        word_column: each row a list of texts.
        tag_column: each row a list of tags, as names or as ids of a ClassLabel; None for data to predict.

    Raises:
        KselectError: data that is not available, an unknown split or column, ids without names, and, by row, a list
            that is none, that has an empty word or an unknown id, or that differs in length from the row's other one.
    """
    data = select_split(open_dataset(str(name), config), split, str(name))
    return table_sentences(dataset_table(f"{name} ({split})", data), word_column, tag_column)


def table_sentences(table: Table, word_column: str, tag_column: str | None) -> list[TaggedSentence]:
    """Return the sentences in a table; rows without words are left out."""
    columns = {"word_column": word_column, "tag_column": tag_column}
    lists = {setting: table.values(column) for setting, column in columns.items() if column is not None}
    names = None if tag_column is None else table.class_names.get(tag_column)
    sentences = []
    for row, values in enumerate(zip(*lists.values(), strict=True)):
        for setting, value in zip(lists, values, strict=True):
            if not isinstance(value, list):
                raise KselectError(
                    f"{table.place(row)} has no list in '{columns[setting]}': name the column of lists as {setting}.",
                    setting=setting,
                )
        if len({len(value) for value in values}) > 1:
            raise KselectError(
                f"{table.place(row)} has {len(values[0])} words and {len(values[1])} tags: fix or remove that row."
            )
        if values[0]:
            lines = () if table.lines is None else (table.lines[row],) * len(values[0])
            origin = Origin(table.source, lines, row)
            tags = values[1] if len(values) > 1 else []
            sentences.append(_sentence(origin, values[0], tags, names, str(tag_column)))
    if not sentences:
        raise KselectError(f"{table.source} holds no sentences: fill it, or give another.")
    return sentences


def write_jsonl(
    sentences: Sequence[TaggedSentence], tags: Sequence[Sequence[str]], word_column: str, tag_column: str
) -> str:
    """Return predicted tags as JSON lines, objects with the row's number."""
    rows = (
        {"row": sentence.origin.row, word_column: sentence.words, tag_column: predicted}
        for sentence, predicted in zip(sentences, tags, strict=True)
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _sentence(
    origin: Origin, words: Sequence[Any], tags: Sequence[Any], names: Sequence[str] | None, tag_column: str
) -> TaggedSentence:
    for i, word in enumerate(words):
        if not isinstance(word, str) or not word.strip(" "):
            raise KselectError(f"{origin.place(i)} is empty or no text: fix or remove that row.")
    for i, tag in enumerate(tags):
        if isinstance(tag, int) and names is None:
            raise KselectError(
                f"{origin.source} has numbers without names in '{tag_column}': write the names, or save it with "
                "datasets as a list of ClassLabel."
            )
        if not isinstance(tag, str) or not visible(tag):
            wanted = "a tag" if names is None else f"an id from 0 to {len(names) - 1}"
            raise KselectError(f"{origin.place(i)} has the tag {tag!r}, expected {wanted}: fix or remove that row.")
    return TaggedSentence(tuple(words), tuple(map(visible, tags)), origin)
