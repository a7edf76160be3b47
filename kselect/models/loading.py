"""Loading a classifier of texts or of words, with its pitfalls checked."""

from __future__ import annotations

from pathlib import Path

from kselect.models.classifier import Classifier
from kselect.models.heads.registry import is_text
from kselect.models.text_classifier import load_text_classifier, load_text_student, new_text_classifier
from kselect.models.word_classifier import is_trained, load_word_classifier, new_word_classifier
from kselect.tasks.task import Task


def load_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a fine-tuned classifier (teacher or student) for `task` from a folder or a hub id.

    A head whose labels are the task's in another order, or in other case, is put in the task's.

    Raises:
        UserError: no model there; one of words for a task of texts; weights that do not fill it (they are named), the
            head's or others; labels other than the task's, or without names and clearly in another order.
    """
    return load_text_classifier(path, task) if is_text(task) else load_word_classifier(path, task)


def load_encoder(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load a pretrained encoder and put a fresh head for `task` on it, drawn with `seed`.

    A head that the checkpoint was fine-tuned with, for whatever task, is replaced; of a pretrained one only the output
    layer is.

    Raises:
        UserError: no model there, or one whose encoder is not whole.
    """
    if is_text(task):
        return new_text_classifier(path, task, seed)
    return new_word_classifier(path, task, head, seed)


def load_student(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load any checkpoint as a student of `task`.

    A head that was trained for the task's labels (or for as many without names) is kept; any other, or none, is
    replaced by a fresh one, drawn with `seed`.

    Raises:
        UserError: no model there, or one whose encoder is not whole.
    """
    if is_text(task):
        return load_text_student(path, task, seed)
    if is_trained(path, task, head):
        return load_word_classifier(path, task)
    return new_word_classifier(path, task, head, seed)
