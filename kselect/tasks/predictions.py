"""Predictions as files: GLUE's submission format, and plain TSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.task import TextTask

GLUE_SCORES = (0.0, 5.0)
"""What GLUE accepts as a score of similarity."""


def glue_submission(task: TextTask, ids: Sequence[str], logits: NDArray[np.floating]) -> str:
    """Return the text of a submission to GLUE: an index and a label (STS-B: a score, kept within [0, 5]) a line.

    Args:
        task: one of GLUE's.
        ids: of the examples, `[n]`.
        logits: of the model, `[n, K]`.
    """
    answers = task.predict(logits)
    if task.regression:
        written = [f"{score:.3f}" for score in np.clip(answers, *GLUE_SCORES)]
    else:
        written = [GLUE_FORMATS[task.name].values[label] for label in answers.tolist()]
    return _tsv(("index", "prediction"), zip(ids, written, strict=True))


def own_predictions(task: TextTask, ids: Sequence[str], logits: NDArray[np.floating], id_name: str = "index") -> str:
    """Return a TSV of ids, predictions and, but for scores, a column of probabilities for each class.

    Args:
        task: whose labels the predictions are.
        ids: of the examples, `[n]`.
        logits: of the model, `[n, K]`.
        id_name: what the column of ids is called.

    Raises `KselectError` for an id or a label that holds a tab or a line break.
    """
    if task.regression:
        return _tsv((id_name, "prediction"), ((i, f"{x:.4f}") for i, x in zip(ids, task.predict(logits), strict=True)))
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponents / exponents.sum(-1, keepdims=True)
    rows = (
        (name, task.labels[label], *(f"{p:.6f}" for p in row))
        for name, label, row in zip(ids, task.predict(logits).tolist(), probabilities, strict=True)
    )
    return _tsv((id_name, "prediction", *(f"p({label})" for label in task.labels)), rows)


def _tsv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = []
    for row in (header, *rows):
        for cell in row:
            if set(cell) & set("\t\r\n"):
                raise KselectError(f"{cell!r} holds a tab or a line break, which a TSV cannot: rename it.")
        lines.append("\t".join(row) + "\n")
    return "".join(lines)
