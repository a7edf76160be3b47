"""A teacher's answers as columns of the data: probabilities, logits or scores, checked and read as logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from kselect.errors import KselectError
from kselect.tasks.table import Table

TOLERANCE = 0.01
"""How far probabilities that are rounded may be from a sum of 1; they are divided by their sum."""
LEAST = 1e-12
"""Probabilities below this count as this, so that logarithms are finite."""

Logits = list[tuple[float, ...]]
Values = Literal["probabilities", "logits"]


def read_logits(
    table: Table, columns: Sequence[str], classes: int, values: Values | None = None, multi_label: bool = False
) -> Logits:
    """Return the logits of each row: logarithms of probabilities, or logits or scores as they are, `[n][K]`.

    Args:
        table: the rows.
        columns: one for each class, in the order of the labels; one for a score.
        classes: number of classes; 1 for a score.
        values: what the columns of classes hold; by default probabilities.
        multi_label: whether each class is present or absent by itself, so that probabilities need not sum to 1.

    Raises:
        KselectError: another number of columns than classes, a missing column, a value that is not finite, or
            probabilities that are none.
    """
    if len(columns) != classes:
        wanted = "the one of the score" if classes == 1 else f"one for each of the {classes} labels, in their order"
        raise KselectError(
            f"teacher_columns names {len(columns)} ({', '.join(columns)}): name {wanted}.", setting="teacher_columns"
        )
    rows = list(zip(*(table.scores(column) for column in columns), strict=True))
    if classes == 1 or values == "logits":
        return rows
    if multi_label:
        return [_log_odds(row, table, index) for index, row in enumerate(rows)]
    return [_log(row, table, index) for index, row in enumerate(rows)]


def _log_odds(row: tuple[float, ...], table: Table, index: int) -> tuple[float, ...]:
    """Return the logits of probabilities that are independent of each other."""
    if not all(0 <= value <= 1 for value in row):
        shown = ", ".join(f"{value:g}" for value in row)
        raise KselectError(
            f"{table.place(index)} has {shown} as the teacher's probabilities, which are not between 0 and 1: fix that "
            "row, or give logits as teacher_values.",
            setting="teacher_values",
        )
    p = np.clip(np.asarray(row), LEAST, 1 - LEAST)
    return tuple((np.log(p) - np.log1p(-p)).tolist())


def _log(row: tuple[float, ...], table: Table, index: int) -> tuple[float, ...]:
    """Return the logarithms of the probabilities in a row."""
    total = math.fsum(row)
    if min(row) < 0 or abs(total - 1) > TOLERANCE:
        shown = ", ".join(f"{value:g}" for value in row)
        raise KselectError(
            f"{table.place(index)} has {shown} as the teacher's probabilities, which are not positive or do not sum to "
            "1: fix that row, or give logits as teacher_values.",
            setting="teacher_values",
        )
    return tuple(np.log(np.maximum(np.asarray(row) / total, LEAST)).tolist())
