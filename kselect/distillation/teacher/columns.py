"""The answers of a teacher that a task's data have in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.config import TEXT_SOURCES
from kselect.distillation.evaluation import Evaluation
from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.models.classifier import Classifier
from kselect.models.column_teacher import ColumnTeacher
from kselect.models.heads import Head
from kselect.tasks.splits import Split
from kselect.tasks.task import Task, TextTask

Logits = NDArray[np.float32]


def logits_of(task: Task[Any], split: str) -> Logits | None:
    """Return the logits that a split has in columns, `[n, K]`; None where it has none."""
    examples = task.splits[split]
    if not isinstance(examples, Split) or examples.teacher_logits is None:
        return None
    return np.asarray(examples.teacher_logits, dtype=np.float32).reshape(len(examples), -1)


def column_logits(task: Task[Any]) -> Logits | None:
    """Return the logits of all texts to learn from, `[N, K]`, in the order in which they are encoded; None without.

    Raises:
        KselectError: train has such logits, and further texts do not, or they are not of the task's labels.
    """
    if logits_of(task, "train") is None:
        return None
    parts = []
    for name in ("train", *(source for source in TEXT_SOURCES if source in task.splits)):
        logits = logits_of(task, name)
        if logits is None:
            raise KselectError(
                f"The {name} texts have no answers of the teacher that train has in columns: add them, or leave those "
                "texts out.",
                setting="teacher_columns",
            )
        if logits.shape[1] != task.num_labels:
            raise KselectError(
                f"The teacher's answers for {name} are {logits.shape[1]} logits each, and {task.name} has "
                f"{task.num_labels} labels: give one for each.",
                setting="teacher_columns",
            )
        parts.append(logits)
    _warn_of_order(task, parts[0])
    return np.concatenate(parts)


def _warn_of_order(task: Task[Any], logits: Logits) -> None:
    """Warn where the answers agree with the labels of train less often than chance, as columns in a wrong order do."""
    labels = np.asarray(task.splits["train"].labels)
    if task.regression or labels.ndim != 1 or not (labels >= 0).any():
        return
    agreement = float((logits.argmax(1) == labels)[labels >= 0].mean())
    if agreement < 1 / task.num_labels:
        get_logger().warning(
            "The teacher's columns agree with %.0f %% of the labels of train, less than chance: they are read in the "
            "order of the labels, %s.",
            100 * agreement,
            ", ".join(task.labels),
        )


def with_columns(
    teachers: Sequence[Classifier], student: Classifier, task: Task[Any]
) -> tuple[Classifier | ColumnTeacher, ...]:
    """Return the teachers that answer: the models and, behind them, the columns of the data, if the task has them."""
    if logits_of(task, "train") is None:
        return tuple(teachers)
    return (*teachers, ColumnTeacher(student.head))


def evaluate_columns(head: Head, task: Task[Any], split: str) -> Evaluation | None:
    """Evaluate the answers that a split has in columns, as `head` reads them; None where it has none."""
    logits = logits_of(task, split)
    if logits is None or not isinstance(task, TextTask):
        return None
    labels = task.splits[split].labels
    answer = head(torch.from_numpy(logits), None)
    losses = answer.gold_loss(torch.as_tensor(labels, dtype=torch.float32 if task.regression else torch.int64))
    return Evaluation(float(losses.mean()), task.score(answer.predict().numpy(), labels), len(labels))
