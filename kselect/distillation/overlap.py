"""Whether teachers were trained on the texts by which a distillation is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.tasks.fingerprint import Fingerprint, find_overlaps, texts_to_learn
from kselect.tasks.task import Task

UNKNOWN = "unknown"
"""Stands in results for the overlap with a teacher whose texts are not known."""


def check_overlap(task: Task[Any], teachers: Mapping[str, Fingerprint | None]) -> None:
    """Refuse teachers that were trained on a hundredth or more of the reward split, or of a split for reporting.

    Such a teacher seems better on that split than it is, so that rewards and scores prefer what imitates it. Teachers
    whose texts are not known pass.

    Args:
        task: the task as the student learns it.
        teachers: what each teacher was trained on (`Classifier.training_texts`), by the name that messages have.

    Raises:
        KselectError: an overlap, with its size.
    """
    for name, texts in teachers.items():
        found = [] if texts is None else find_overlaps(texts, task.splits)
        if any(each.large for each in found):
            shared = [f"{each.shared} of the {each.examples} texts of {each.split}" for each in found if each.shared]
            raise KselectError(
                f"The teacher {name} was trained on {' and '.join(shared)}, which are held out here: give both the "
                "same files, data_seed and reward_fraction, give another teacher, or allow it with allow_overlap.",
                setting="allow_overlap",
            )


def teacher_overlap(task: Task[Any], teachers: Sequence[Classifier]) -> list[Any]:
    """Return, for results, how many examples of each held-out split each teacher was trained on, or `UNKNOWN`."""
    return [
        UNKNOWN
        if teacher.training_texts is None
        else {each.split: each.shared for each in find_overlaps(teacher.training_texts, task.splits)}
        for teacher in teachers
    ]


def trained_texts(task: Task[Any], student: Classifier, teachers: Sequence[Classifier]) -> Fingerprint | None:
    """Return the hashes of the texts that a student will have learned from, directly or through its teachers.

    None where those of a teacher are not known. A student whose own are not known counts as an encoder that was
    pretrained on other texts.
    """
    known = [teacher.training_texts for teacher in teachers]
    if any(texts is None for texts in known):
        return None
    parts = [texts_to_learn(task.splits), student.training_texts, *known]
    return np.unique(np.concatenate([texts for texts in parts if texts is not None]))
