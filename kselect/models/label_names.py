"""What a model calls its labels, and whether a task calls them the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from kselect.models.output_layer import reorder
from kselect.tasks.task import Task


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
