"""Names of a classifier's labels, against those of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from kselect.errors import KselectError
from kselect.models.output_layer import reorder
from kselect.tasks.task import Task, TextTask


def declared_names(config: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Return the label names of a config.json that has label2id alone, as entries of a config; empty elsewhere."""
    by_name = config.get("label2id") or {}
    if not isinstance(by_name, dict) or _is_default(by_name):
        return {}
    try:
        from_names = {int(index): str(name) for name, index in by_name.items()}
        from_ids = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    except (TypeError, ValueError, AttributeError):
        raise KselectError(f"{path} has an id2label or label2id without numbers: fix its config.json.") from None
    if from_ids and not _is_default({name: index for index, name in from_ids.items()}):
        differing = sorted(i for i in from_ids.keys() | from_names.keys() if from_ids.get(i) != from_names.get(i))
        if differing:
            index = differing[0]
            raise KselectError(
                f"{path} contradicts itself: label {index} is {_quoted(from_ids.get(index))} by id2label, and "
                f"{_quoted(from_names.get(index))} by label2id. Correct one of them in its config.json."
            )
        return {}
    if sorted(from_names) != list(range(len(from_names))):
        raise KselectError(f"{path} does not number its labels from 0 in label2id: fix its config.json.")
    return {"id2label": from_names, "label2id": {name: index for index, name in from_names.items()}}


def _is_default(ids: Mapping[str, Any]) -> bool:
    """Whether names are those that transformers gives to labels without a name."""
    return all(name == f"LABEL_{index}" for name, index in ids.items())


def _quoted(name: str | None) -> str:
    return "missing" if name is None else f"'{name}'"


def label_names(config: PreTrainedConfig) -> tuple[str, ...]:
    """Return the label names in a model's config, in id order."""
    names: dict[Any, str] = config.id2label or {}
    return tuple(str(names[i]) for i in sorted(names))


def are_unnamed(names: Sequence[str], task: Task) -> bool:
    """Whether `names` are those that transformers gives to labels without a name, and not the task's."""
    return order_of(names, task) is None and all(name == f"LABEL_{i}" for i, name in enumerate(names))


def order_of(names: Sequence[str], task: Task) -> list[int] | None:
    """Return the position of each of the task's labels among `names`; None where the names are others.

    Case is ignored, unless the task has labels that differ in case alone.
    """
    key = str.casefold if len({label.casefold() for label in task.labels}) == task.num_labels else str
    positions = {key(name): i for i, name in enumerate(names)}
    wanted = [key(label) for label in task.labels]
    return [positions[label] for label in wanted] if sorted(positions) == sorted(wanted) else None


def label_mismatch(model: PreTrainedModel, task: Task) -> str | None:
    """Return how a model's labels differ from the task's, in any order; None where they do not, or have no names."""
    names = label_names(model.config)
    if len(names) != task.num_labels or (len(names) == 1) != task.regression:
        given = "predicts a score" if len(names) == 1 else f"predicts {len(names)} labels"
        wanted = "asks for a score" if task.regression else f"has {task.num_labels} ({', '.join(task.labels)})"
        return f"{given}, {task.name} {wanted}: give a model fine-tuned on {task.name}"
    kinds = model.config.problem_type, label_settings(task)["problem_type"]
    if kinds[0] is not None and kinds.count("multi_label_classification") == 1:
        return f"is made for {kinds[0]}, {task.name} is {kinds[1]}: give a model fine-tuned on {task.name}"
    if task.regression or are_unnamed(names, task) or order_of(names, task) is not None:
        return None
    return (
        f"names its labels {', '.join(names)}, {task.name} has {', '.join(task.labels)}: give a model fine-tuned on "
        f"{task.name}, or give each label the task's name for it (id2label in config.json; the order is free)"
    )


def adopt_labels(model: PreTrainedModel, task: Task) -> None:
    """Give a model without a mismatch the task's order and names of labels."""
    order = order_of(label_names(model.config), task)
    if order is not None and order != sorted(order):
        reorder(model, order)
    for name, value in label_settings(task).items():
        setattr(model.config, name, value)


def label_settings(task: Task) -> dict[str, Any]:
    """Return the entries of a model's config that name the task's labels in order, or make it a regression."""
    if task.regression:
        return {"num_labels": 1, "problem_type": "regression"}
    several = isinstance(task, TextTask) and task.multi_label
    kind = "multi_label_classification" if several else "single_label_classification"
    return {"num_labels": task.num_labels, "problem_type": kind, **named_labels(task.labels)}


def named_labels(labels: Sequence[str]) -> dict[str, Any]:
    """Return the entries of a model's config that name labels in order."""
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
