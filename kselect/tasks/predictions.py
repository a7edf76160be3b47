"""Predictions as files: GLUE's submission format, and tables as TSV, CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

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


def glue_submission(task: TextTask, ids: Sequence[str], logits: NDArray[np.floating]) -> str:
    """Return the text of a submission to GLUE: an index and a label (STS-B: a score, clipped to [0, 5]) a line."""
    answers = task.predict(logits)
    if task.regression:
        written = [f"{score:.3f}" for score in np.clip(answers, *GLUE_SCORES)]
    else:
        written = [GLUE_FORMATS[task.name].values[label] for label in answers.tolist()]
    return _tsv(("index", "prediction"), zip(ids, written, strict=True))


def table_predictions(
    task: TextTask,
    ids: Sequence[str],
    logits: NDArray[np.floating],
    id_name: str = "index",
    suffix: str = TABLE_SUFFIXES[0],
) -> str:
    """Return a table of ids, predictions and, unless they are scores, a column of probabilities for each class."""
    from scipy.special import expit, softmax

    header = (id_name, "prediction", *(f"p({label})" for label in task.labels))
    answers = task.predict(logits).tolist()
    if task.regression:
        numbers = [[f"{score:.4f}"] for score in answers]
        rows = [[name, *row] for name, row in zip(ids, numbers, strict=True)]
    else:
        shares = expit(logits) if task.multi_label else softmax(logits, axis=-1)
        rows = [
            [name, _named(task, label), *(f"{share:.6f}" for share in row)]
            for name, label, row in zip(ids, answers, shares, strict=True)
        ]
    if suffix == ".jsonl":
        return _jsonl(header, rows, texts=1 if task.regression else 2)
    return (_csv if suffix == ".csv" else _tsv)(header, rows)


def _named(task: TextTask, answer: int | list[int]) -> str:
    """Return the name of a label id or, of 0 and 1 for each label, the names of those present."""
    if isinstance(answer, int):
        return task.labels[answer]
    return SEPARATOR.join(label for label, present in zip(task.labels, answer, strict=True) if present)


def _jsonl(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> str:
    """Return rows as JSON objects, the first `texts` cells of each as texts and the rest as numbers."""
    values = ([*row[:texts], *map(float, row[texts:])] for row in rows)
    return "".join(json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False) + "\n" for row in values)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue()


def _tsv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = []
    for row in (header, *rows):
        for cell in row:
            if set(cell) & set("\t\r\n"):
                raise KselectError(f"{cell!r} holds a tab or a line break, which a TSV cannot: rename it.")
        lines.append("\t".join(row) + "\n")
    return "".join(lines)
