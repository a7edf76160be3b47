"""Texts with any number of labels: cells of several labels as rows of 0 and 1, and what constant answers score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.errors import KselectError
from kselect.tasks.table import Table

SEPARATOR = ","


def label_lists(table: Table, column: str, separator: str | None = None) -> list[list[str]]:
    """Return the labels in each row: of a list, or of a text in which they are separated; none if it is empty.

    Raises:
        KselectError: a cell that is neither, or names a label twice.
    """
    rows = []
    for row, cell in enumerate(table.values(column)):
        if isinstance(cell, str):
            found = [name.strip() for name in cell.split(separator or SEPARATOR)] if cell.strip() else []
        elif isinstance(cell, list):
            found = [str(name) for name in cell]
        else:
            raise KselectError(
                f"{table.place(row)} has {cell!r} in '{column}', expected a list of labels, or a text of them: give an "
                "empty one for no label."
            )
        if "" in found or len(set(found)) < len(found):
            raise KselectError(
                f"{table.place(row)} has {cell!r} in '{column}', which names a label twice or an empty one: fix that "
                "row.",
                setting="label_separator",
            )
        rows.append(found)
    return rows


def find_label_names(table: Table, rows: Sequence[Sequence[str]], column: str) -> list[str]:
    """Return the labels that a table declares for a column or, without a declaration, those that its rows have."""
    labels = list(table.class_names.get(column) or sorted({name for row in rows for name in row}))
    if len(labels) < 2:
        raise KselectError(
            f"'{column}' of {table.source} has {len(labels)} different labels: give two or more as labels.",
            setting="labels",
        )
    return labels


def indicators(table: Table, rows: Sequence[Sequence[str]], labels: Sequence[str]) -> list[tuple[int, ...]]:
    """Return 1 for each label that a row has, and 0 for the others, `[n][K]`."""
    for row, names in enumerate(rows):
        for name in names:
            if name not in labels:
                raise KselectError(
                    f"{table.place(row)} has the label '{name}', expected some of {', '.join(labels)}: fix or remove "
                    "that row, or give every label as labels."
                )
    return [tuple(int(label in names) for label in labels) for names in rows]


def constant_labels(labels: ArrayLike) -> NDArray[np.int64]:
    """Return the labels `[K]` that at least half of the rows `[n, K]` have or, if none does, the most frequent one."""
    shares = np.asarray(labels).mean(0)
    chosen = shares >= 0.5
    if not chosen.any():
        chosen[int(shares.argmax())] = True
    return chosen.astype(np.int64)


def left_out(metric: str, predicted: NDArray[Any], gold: NDArray[Any]) -> NDArray[np.float64]:
    """Return each text's influence on micro or macro F1, `[n]`, by the jackknife, from rows of 0 and 1 `[n, K]`.

    Both read only how often each label is right, missed or wrongly given, of which a text's row is taken away.
    """
    hits = (predicted & gold).astype(np.float64)
    wanted = (predicted + gold).astype(np.float64)  # twice the hits, misses and false alarms
    twice, total = 2 * (hits.sum(0) - hits), wanted.sum(0) - wanted
    without = _ratio(twice.sum(1), total.sum(1)) if metric == "micro_f1" else _ratio(twice, total).mean(1)
    return (len(gold) - 1) * (without.mean() - without)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ratio, 0 where the denominator is."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
