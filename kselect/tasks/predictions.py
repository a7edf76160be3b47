"""Formats of predictions: GLUE's submissions, and tables as TSV, CSV or JSON lines, written a few rows at a time."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.multi_label import SEPARATOR
from kselect.tasks.task import TextTask

GLUE_SCORES = (0.0, 5.0)
"""Range of the similarity scores that GLUE accepts."""
TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")
"""Suffixes of the formats of a table, the default first."""

Answers = Iterable[tuple[Any, NDArray[np.floating] | None]]
"""The name of a class, or a score, and the probability of each class, `[K]`, if it is known, for each example."""


@dataclass(frozen=True)
class Format(ABC):
    """A format of the predictions of a task."""

    task: TextTask

    @property
    @abstractmethod
    def header(self) -> str:
        """The text before all rows."""

    @abstractmethod
    def rows(self, ids: Sequence[str], answers: Answers) -> str:
        """Return the text of further rows."""


@dataclass(frozen=True)
class SubmissionFormat(Format):
    """A submission to GLUE: an index and a label (STS-B: a score, clipped to [0, 5]) a line."""

    @property
    def header(self) -> str:
        """The names of the two columns."""
        return _tsv([("index", "prediction")])

    def rows(self, ids: Sequence[str], answers: Answers) -> str:
        """Return a line for each answer."""
        return _tsv((name, self._written(answer)) for name, (answer, _) in zip(ids, answers, strict=True))

    def _written(self, answer: Any) -> str:
        if self.task.regression:
            return f"{np.clip(answer, *GLUE_SCORES):.3f}"
        return str(GLUE_FORMATS[self.task.name].values[self.task.labels.index(answer)])


@dataclass(frozen=True)
class TableFormat(Format):
    """A table of ids, predictions and, where they are wanted, a column of probabilities for each class.

    Attributes:
        id_name: name of the column of ids.
        suffix: one of `TABLE_SUFFIXES`.
        probabilities: whether answers come with the probabilities of classes.
    """

    id_name: str = "index"
    suffix: str = TABLE_SUFFIXES[0]
    probabilities: bool = False

    @property
    def header(self) -> str:
        """The names of the columns; nothing in JSON lines."""
        return "" if self.suffix == ".jsonl" else self._lines([self._columns])

    def rows(self, ids: Sequence[str], answers: Answers) -> str:
        """Return a row for each answer."""
        rows = []
        for name, (answer, shares) in zip(ids, answers, strict=True):
            written = f"{answer:.4f}" if self.task.regression else _in_a_cell(answer)
            rows.append([name, written, *(f"{share:.6f}" for share in (() if shares is None else shares))])
        if self.suffix == ".jsonl":
            return _jsonl(self._columns, rows, texts=1 if self.task.regression else 2)
        return self._lines(rows)

    @property
    def _columns(self) -> tuple[str, ...]:
        shares = (f"p({label})" for label in self.task.labels) if self.probabilities else ()
        return (self.id_name, "prediction", *shares)

    def _lines(self, rows: Iterable[Sequence[str]]) -> str:
        return (_csv if self.suffix == ".csv" else _tsv)(rows)


def _in_a_cell(answer: str | list[str]) -> str:
    """Return the name of a class or, of any number of labels, their names in one cell."""
    return answer if isinstance(answer, str) else SEPARATOR.join(answer)


def _jsonl(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> str:
    """Return rows as JSON objects, the first `texts` cells of each as texts and the rest as numbers."""
    values = ([*row[:texts], *map(float, row[texts:])] for row in rows)
    return "".join(json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False) + "\n" for row in values)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _tsv(rows: Iterable[Sequence[str]]) -> str:
    lines = []
    for row in rows:
        for cell in row:
            if set(cell) & set("\t\r\n"):
                raise KselectError(f"{cell!r} holds a tab or a line break, which a TSV cannot: rename it.")
        lines.append("\t".join(row) + "\n")
    return "".join(lines)
