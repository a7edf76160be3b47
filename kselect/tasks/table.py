"""A table of examples as it was read: columns by name, and the place that each row came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kselect.errors import KselectError, did_you_mean


@dataclass(frozen=True)
class Table:
    """Columns of equal length, `[n]` each."""

    source: str
    """The file or data set they were read from, as messages name it."""
    columns: dict[str, Sequence[Any]]
    lines: Sequence[int] | None = None
    """Line of each row in its file, from 1; None where there are no lines."""

    def __post_init__(self) -> None:
        """Refuse a table without rows."""
        if len(self) == 0:
            raise KselectError(f"{self.source} holds no examples: fill it, or give another.")

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def place(self, row: int) -> str:
        """Say where a row is to be found."""
        return f"{self.source}, row {row + 1}" if self.lines is None else f"{self.source}:{self.lines[row]}"

    def values(self, column: str) -> Sequence[Any]:
        """Return a column; raises `KselectError` with the columns found and the nearest one."""
        if len(self.columns) == 1 and ";" in next(iter(self.columns)):
            raise KselectError(f"{self.source} seems to be separated by semicolons: save it with commas, or as TSV.")
        if column not in self.columns:
            raise KselectError(
                f"{self.source} has no column '{column}'{did_you_mean(column, self.columns)} Columns found: "
                f"{', '.join(self.columns)}. Rename one of them, or name another."
            )
        return self.columns[column]

    def texts(self, column: str) -> list[str]:
        """Return a column of texts; raises `KselectError` for a value that is none."""
        values = self.values(column)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise KselectError(f"{self.place(row)} has no text in '{column}': mend or remove that row.")
            self._check_characters(row, column, value)
        return list(values)

    def names(self, column: str) -> list[str]:
        """Return a column of labels or ids as texts; raises `KselectError` for an empty cell, or a list."""
        values = self.values(column)
        for row, value in enumerate(values):
            if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
                raise KselectError(f"{self.place(row)} has nothing in '{column}': mend or remove that row.")
            if isinstance(value, list | dict):
                raise KselectError(f"{self.place(row)} has {value} in '{column}', expected one text or number.")
            self._check_characters(row, column, str(value))
        return [str(value) for value in values]

    def _check_characters(self, row: int, column: str, text: str) -> None:
        """Refuse halves of characters, which JSON can write, and neither a tokenizer nor a file can take."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = text[error.start]
            raise KselectError(
                f"{self.place(row)} has half a character ({half!a}) in '{column}': mend or remove that row."
            ) from None

    def ids(self, column: str) -> list[str]:
        """Return a column of ids; raises `KselectError` for one that is missing or given twice."""
        ids = self.names(column)
        first: dict[str, int] = {}
        for row, name in enumerate(ids):
            if name in first:
                raise KselectError(
                    f"{self.place(row)} repeats the {column} '{name}' of {self.place(first[name])}: "
                    "give every row one of its own."
                )
            first[name] = row
        return ids

    def scores(self, column: str) -> list[float]:
        """Return a column of scores; raises `KselectError` for what is not a finite number."""
        scores = []
        for row, value in enumerate(self.values(column)):
            try:
                score = float(value)
            except (TypeError, ValueError):
                score = math.nan
            if not math.isfinite(score):
                raise KselectError(
                    f"{self.place(row)} has '{value}' in '{column}', expected a number: mend or remove that row."
                )
            scores.append(score)
        return scores
