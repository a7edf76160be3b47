"""What exporting and quantising a model changes: its scores, and how well it does on dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.distillation.evaluation import answers_of, forward_batches
from kselect.errors import KselectError
from kselect.export.graph import scores_of
from kselect.export.session import Session
from kselect.models.classifier import Classifier
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task

PYTORCH = "pytorch"
TOLERANCE = 1e-4
"""Largest difference of an output between a model and its export in float32."""


@dataclass
class Comparison:
    """An exported model next to the original on N examples.

    Attributes:
        metrics: those of the task, and "score".
        difference: largest absolute difference of any output; NaN where one of the two is NaN.
        changed: share of examples with another answer, in [0, 1].
    """

    metrics: dict[str, float]
    difference: float = 0.0
    changed: float = 0.0


@dataclass
class _Running:
    answers: list[NDArray[Any]] = field(default_factory=list)
    difference: float = 0.0


@torch.no_grad()
def compare(
    classifier: Classifier,
    sessions: Mapping[str, Session],
    task: Task[Any],
    encoded: EncodedSplit,
    batch_size: int,
) -> dict[str, Comparison]:
    """Return the model itself, under `PYTORCH`, and each session by its name, on all examples of an encoded split.

    The model is on the CPU and computes in float32.
    """
    running = {name: _Running() for name in (PYTORCH, *sessions)}
    order: list[int] = []
    for rows, batch, outputs in forward_batches(
        classifier, encoded, np.arange(len(encoded)), batch_size, torch.float32
    ):
        order += rows.tolist()
        running[PYTORCH].answers += answers_of(outputs, encoded, rows)
        own = scores_of(classifier.head.name, outputs.answer)
        for name, session in sessions.items():
            scores = session.scores(batch)
            differences = [_difference(scores[key], value.numpy()) for key, value in own.items()]
            running[name].difference = float(np.max([running[name].difference, *differences]))  # NaN stays
            running[name].answers += session.answers(scores, batch)
    indices = np.asarray(order)
    reference = running[PYTORCH].answers
    results = {}
    for name, found in running.items():
        changed = [not _is_same(a, b, task) for a, b in zip(found.answers, reference, strict=True)]
        metrics = task.score_rows(found.answers, encoded, indices)
        results[name] = Comparison(metrics, found.difference, float(np.mean(changed)))
    return results


def check_parity(difference: float, name: str, packages: Sequence[str]) -> None:
    """Refuse an export, which these packages have made, whose scores are not those of its model."""
    if not difference <= TOLERANCE:  # NaN, too
        raise KselectError(
            f"The export of {name} differs from it by {difference:.2g} in an output, of at most {TOLERANCE:g}; it is "
            f"not written. Give a model of another architecture, or other versions of {', '.join(packages)}."
        )


def _difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest absolute difference of two arrays, in which equal infinities do not differ."""
    return float(np.abs(np.subtract(one, other, where=one != other, out=np.zeros_like(other))).max())


def _is_same(answer: NDArray[Any], reference: NDArray[Any], task: Task[Any]) -> bool:
    if task.regression:
        return bool(abs(answer - reference) <= TOLERANCE)
    return bool(np.array_equal(answer, reference))
