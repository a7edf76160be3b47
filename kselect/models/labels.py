"""Whether the labels of a classifier that does not name them stand in a task's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from transformers import PreTrainedConfig, PreTrainedModel

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.models.needs import Needs
from kselect.models.output_layer import reorder
from kselect.models.outputs import forward
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task

BATCH = 20
CLEAR = 3.0  # standard errors
SWAPPED = 0.05  # of all answers, from which another order is one, and not two rare classes taken for each other


@dataclass(frozen=True)
class Order:
    """The order of K labels in which answers are right most often, and how often they are so in either order.

    Half of the examples choose the order, the others judge it.
    """

    meant: tuple[int, ...]
    """Which label each answer stands for in that order."""
    judged: int
    """Answers that judge."""
    right: float
    """Share of them that is right in the order as it is, in [0, 1]."""
    right_as_meant: float
    """Share that is right in the other order."""
    clear: bool
    """Whether that order is meant: more are right there, by 3 standard errors (McNemar's test) and 5 % of all.

    What is gained in the answers of one example counts as one gain, as words of a sentence are not independent.
    """


def best_order(
    answers: NDArray[np.int64], gold: NDArray[np.int64], labels: int, examples: NDArray[np.int64] | None = None
) -> Order:
    """Find the order of `labels` labels that suits answers `[N]` best.

    Args:
        answers: label ids as they are named, `[N]`.
        gold: label ids, `[N]`.
        labels: how many there are.
        examples: which example each answer is of, two of them at least, `[N]`; by default each is of its own.
    """
    _, owner = np.unique(np.arange(len(answers)) if examples is None else examples, return_inverse=True)
    judges = owner % 2 == 1
    table = np.zeros((labels, labels))
    np.add.at(table, (answers[~judges], gold[~judges]), 1)
    _, best = linear_sum_assignment(table, maximize=True)
    here, there = answers[judges] == gold[judges], best[answers[judges]] == gold[judges]
    gains = np.bincount(owner[judges], weights=there.astype(float) - here)  # of each example, which are independent
    gained = gains.sum()
    clear = bool(gained > CLEAR * np.sqrt((gains**2).sum()) and gained >= SWAPPED * len(here))
    return Order(tuple(best.tolist()), len(here), float(here.mean()), float(there.mean()), clear)


def check_order(
    model: PreTrainedModel, labels: tuple[str, ...], examples: EncodedSplit | None, path: str | Path
) -> None:
    """Tell that the order of unnamed labels is assumed, and refuse it where `examples` clearly belie it.

    Raises:
        KselectError: the other order is clearly meant, see `Order`.
    """
    _tell(f"{path} does not name its labels: they are taken to be {', '.join(labels)}, in this order.")
    if examples is None or len(examples) < 2:
        return
    order = best_order(_answers(model, examples), examples.labels, len(labels))
    if order.clear:
        raise KselectError(
            f"{path} does not name its labels, and of {order.judged} reward examples is right on "
            f"{order.right_as_meant:.0%} if they are {', '.join(labels[label] for label in order.meant)}, on "
            f"{order.right:.0%} if {', '.join(labels)}: name them as id2label in its config.json."
        )


@torch.no_grad()
def _answers(model: PreTrainedModel, examples: EncodedSplit) -> NDArray[np.int64]:
    model.eval()
    parts = np.array_split(np.arange(len(examples)), -(-len(examples) // BATCH))
    return np.concatenate([forward(model, examples.batch(part), Needs()).logits.argmax(-1).numpy() for part in parts])


@cache
def _tell(line: str) -> None:
    get_logger().warning(line)


def label_names(config: PreTrainedConfig) -> tuple[str, ...]:
    """Return what a model's config calls its labels, in id order."""
    names: dict[Any, str] = config.id2label or {}
    return tuple(str(names[i]) for i in sorted(names))


def are_unnamed(names: Sequence[str], task: Task) -> bool:
    """Whether `names` are those that the library gives labels without a name, and not the task's."""
    return order_of(names, task) is None and all(name == f"LABEL_{i}" for i, name in enumerate(names))


def order_of(names: Sequence[str], task: Task) -> list[int] | None:
    """Return where each of the task's labels stands among `names`; None where they are others.

    Case tells none apart, unless the task itself has labels that differ in nothing else.
    """
    alike = str.casefold if len({label.casefold() for label in task.labels}) == task.num_labels else str
    places = {alike(name): i for i, name in enumerate(names)}
    wanted = [alike(label) for label in task.labels]
    return [places[label] for label in wanted] if sorted(places) == sorted(wanted) else None


def label_fault(model: PreTrainedModel, task: Task) -> str | None:
    """Say in what a model's labels are not the task's, in whatever order; None where they are, or have no names."""
    names = label_names(model.config)
    if len(names) != task.num_labels or (len(names) == 1) != task.regression:
        told = "gives a score" if len(names) == 1 else f"tells {len(names)} labels apart"
        has = "asks for a score" if task.regression else f"has {task.num_labels} ({', '.join(task.labels)})"
        return f"{told}, {task.name} {has}: give a model fine-tuned on {task.name}"
    if task.regression or are_unnamed(names, task) or order_of(names, task) is not None:
        return None
    return (
        f"names its labels {', '.join(names)}, {task.name} has {', '.join(task.labels)}: give a model fine-tuned on "
        f"{task.name}, or each label the task's name for what it means (id2label in config.json; the order is free)"
    )


def take_labels(model: PreTrainedModel, task: Task) -> None:
    """Give labels without a fault the task's order and names."""
    names = label_names(model.config)
    order = order_of(names, task)
    if order is not None and order != sorted(order):
        reorder(model, order)
    for name, value in label_settings(task).items():
        setattr(model.config, name, value)


def label_settings(task: Task) -> dict[str, Any]:
    """Return the entries of a model's config that name the task's labels in order, or make it a regression."""
    if task.regression:
        return {"num_labels": 1, "problem_type": "regression"}
    return {
        "num_labels": task.num_labels,
        "problem_type": "single_label_classification",
        "id2label": dict(enumerate(task.labels)),
        "label2id": {label: i for i, label in enumerate(task.labels)},
    }
