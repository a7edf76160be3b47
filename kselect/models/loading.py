"""Load a classifier, an encoder or a student for a task, of whole texts or of words."""

from __future__ import annotations

from pathlib import Path

from kselect.errors import KselectError, check_type
from kselect.models.checksums import check_checksums
from kselect.models.classifier import Classifier
from kselect.models.heads.registry import PARSING
from kselect.models.hub import saved_file
from kselect.models.text_classifier import load_text_classifier, load_text_student, new_text_classifier
from kselect.models.word_classifier import is_trained, load_word_classifier, new_word_classifier, saved_head
from kselect.tasks.fingerprint import FILE, Fingerprint, read_fingerprint
from kselect.tasks.task import Task, TextTask

TASKS = "a Task, such as `load_task` and `build_task` return"


def load_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a fine-tuned classifier (teacher or student) for `task`.

    A head whose labels are the task's in another order, or in other case, is put in the task's order. What it predicts
    on labelled examples outside of dev is compared with their labels.

    Args:
        path: a folder or a hub id.
        task: gives the labels, and the examples.

    Raises:
        KselectError: no model there, or one of words for a task of texts; weights that the checkpoint does not have; or
            labels other than the task's, clearly in another order, in another scheme or in another unit.
    """
    check_type("task", task, Task, TASKS)
    if isinstance(task, TextTask):
        _refuse_words(path, task)
        return _with_texts(load_text_classifier(path, task), path)
    return _with_texts(load_word_classifier(path, task), path)


def load_encoder(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load a pretrained encoder and put a new head for `task` on it.

    A head that the checkpoint was fine-tuned with, for any task, is replaced; of a pretrained one only the output layer
    is.

    Args:
        path: a folder or a hub id.
        task: gives the labels.
        seed: of the head's random weights.
        head: name of a head for words; by default the task's usual one.

    Raises:
        KselectError: no model there, or one whose encoder is incomplete.
    """
    check_type("task", task, Task, TASKS)
    if isinstance(task, TextTask):
        return _with_texts(new_text_classifier(path, task, seed), path)
    return _with_texts(new_word_classifier(path, task, head, seed), path)


def load_student(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load any checkpoint as a student of `task`.

    A head that was trained for the task's labels (or for as many without names) stays; any other, or none, is replaced
    by a new one.

    Args:
        path: a folder or a hub id.
        task: gives the labels.
        seed: of a new head's random weights.
        head: name of a head for words; by default the saved one, or the task's usual one.

    Raises:
        KselectError: no model there, or one whose encoder is incomplete.
    """
    check_type("task", task, Task, TASKS)
    if isinstance(task, TextTask):
        return _with_texts(load_text_student(path, task, seed), path)
    if is_trained(path, task, head):
        return _with_texts(load_word_classifier(path, task), path)
    return _with_texts(new_word_classifier(path, task, head, seed), path)


def saved_texts(path: str | Path) -> Fingerprint | None:
    """Return the hashes of the texts that a saved model was trained on; None where these are not known."""
    file = saved_file(path, FILE)
    return None if file is None else read_fingerprint(file)


def _with_texts(classifier: Classifier, path: str | Path) -> Classifier:
    """Add the hashes of the texts that a model was trained on, and check that its files are those that were saved."""
    classifier.training_texts = saved_texts(path)
    check_checksums(Path(path))
    return classifier


def _refuse_words(path: str | Path, task: TextTask) -> None:
    """Refuse a model of words, by its `head.json` or its config, for a task of texts."""
    head = saved_head(path)
    if head is not None:
        predicts = "trees" if head in PARSING else "tags"
        raise KselectError(
            f"{path} is a model of words, which predicts {predicts} with the head {head}, and {task.name} is of texts: "
            "give a classifier of texts."
        )
