"""A table of examples: columns by name, and where each row was read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kselect.errors import KselectError, did_you_mean


@dataclass(frozen=True)
class Table:
    """Columns of equal length, `[n]` each.

    Attributes:
        source: the file or data set they were read from, as messages name it.
        columns: values by the name of their column.
        lines: line of each row in its file, from 1; None where there are no lines.
        class_names: names that the source declares for the labels in a column, in id order.
        first: number of rows of the source before these.
    """

    source: str
    columns: dict[str, Sequence[Any]]
    lines: Sequence[int] | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: int = 0

    def __post_init__(self) -> None:
        """Refuse a table without rows."""
        if len(self) == 0:
            raise KselectError(f"{self.source} holds no examples: fill it, or give another.")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def take(self, rows: Sequence[int]) -> Table:
        """Return the table of these rows, at least one."""
        columns: dict[str, Sequence[Any]] = {
            name: [values[row] for row in rows] for name, values in self.columns.items()
        }
        lines = self.lines if self.lines is None else [self.lines[row] for row in rows]
        return replace(self, columns=columns, lines=lines)

    def has_value(self, column: str) -> list[bool]:
        """Return for each row whether it has something in a column."""
        return [not _is_missing(value) for value in self.values(column)]

    def place(self, row: int) -> str:
        """Return where a row was read, for messages."""
        return (
            f"{self.source}, row {self.first + row + 1}" if self.lines is None else f"{self.source}:{self.lines[row]}"
        )

    def with_class_names(self, names: Mapping[str, tuple[str, ...]]) -> Table:
        """Return the table with the ids in these columns replaced by names; an id without a name, such as -1, stays."""
        columns = dict(self.columns)
        for column in names.keys() & columns.keys():
            columns[column] = [_named(value, names[column]) for value in columns[column]]
        return replace(self, columns=columns, class_names=names)

    def check_columns(self, names: Iterable[str], setting: str | None = None) -> None:
        """Refuse a table that lacks a column; `setting` names them."""
        if len(self.columns) == 1 and ";" in next(iter(self.columns)):
            raise KselectError(f"{self.source} seems to be separated by semicolons: save it with commas, or as TSV.")
        for column in names:
            if column not in self.columns:
                raise KselectError(
                    f"{self.source} has no column '{column}'{did_you_mean(column, self.columns)} Columns found: "
                    f"{', '.join(self.columns)}. Rename one of them, or name another.",
                    setting=setting,
                )

    def values(self, column: str) -> Sequence[Any]:
        """Return a column."""
        self.check_columns([column])
        return self.columns[column]

    def texts(self, column: str) -> list[str]:
        """Return a column of texts."""
        values = self.values(column)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise KselectError(f"{self.place(row)} has no text in '{column}': fix or remove that row.")
            self._check_characters(row, column, value)
        return list(values)

    def names(self, column: str) -> list[str]:
        """Return a column of labels or ids as texts."""
        values = self.values(column)
        for row, value in enumerate(values):
            if _is_missing(value):
                raise KselectError(f"{self.place(row)} has nothing in '{column}': fix or remove that row.")
            if isinstance(value, list | dict):
                raise KselectError(f"{self.place(row)} has {value} in '{column}', expected one text or number.")
            self._check_characters(row, column, str(value))
        return [str(value) for value in values]

    def _check_characters(self, row: int, column: str, text: str) -> None:
        """Refuse lone surrogates, which JSON can write and neither a tokenizer nor a file accepts."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = text[error.start]
            raise KselectError(
                f"{self.place(row)} has half a character ({half!a}) in '{column}': fix or remove that row."
            ) from None

    def ids(self, column: str) -> list[str]:
        """Return a column of ids."""
        ids = self.names(column)
        first: dict[str, int] = {}
        for row, name in enumerate(ids):
            if name in first:
                raise KselectError(
                    f"{self.place(row)} repeats the {column} '{name}' of {self.place(first[name])}: "
                    "give every row a different one."
                )
            first[name] = row
        return ids

    def scores(self, column: str) -> list[float]:
        """Return a column of scores."""
        scores = []
        for row, value in enumerate(self.values(column)):
            try:
                score = float(value)
            except (TypeError, ValueError, OverflowError):
                score = math.nan
            if not math.isfinite(score):
                raise KselectError(
                    f"{self.place(row)} has '{value}' in '{column}', expected a number: fix or remove that row."
                )
            scores.append(score)
        return scores


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _named(value: Any, names: Sequence[str]) -> Any:
    """Return the name of an id or, of a list of ids, their names."""
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def concatenate(source: str, tables: Sequence[Table]) -> Table:
    """Return the rows of several tables, one after the other; they have the columns of the first."""
    columns: dict[str, Sequence[Any]] = {
        name: [value for table in tables for value in table.values(name)] for name in tables[0].columns
    }
    return Table(source, columns, class_names=tables[0].class_names)
