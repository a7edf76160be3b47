"""Models that classify whole texts: loaded, or made of an encoder."""

from __future__ import annotations

from pathlib import Path

from kselect.errors import KselectError
from kselect.models.classifier import Classifier, input_length
from kselect.models.heads.registry import is_text
from kselect.models.labels import are_unnamed, check_order, label_fault, label_names, label_settings, take_labels
from kselect.models.output_layer import centre, redraw
from kselect.models.pretrained import load_pretrained, load_tokenizer
from kselect.models.scratch import seeded
from kselect.models.word_classifier import is_trained, load_word_classifier, new_word_classifier, refuse_words
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task

JUDGED_BY = 200  # reward examples that tell whether unnamed labels stand in the task's order


def load_text_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a model that was fine-tuned on `task`; see `kselect.models.text_classifier.load_classifier`."""
    model, unfit = load_pretrained(path)
    refuse_words(path, task)
    if unfit:
        raise KselectError(
            f"{path} is not fine-tuned: {', '.join(sorted(unfit))} would be random. "
            f"Run `kselect train-teacher --encoder {path} --task {task.name}` and use the model it saves."
        )
    fault = label_fault(model, task)
    if fault is not None:
        raise KselectError(f"{path} {fault}.")
    unnamed = not task.regression and are_unnamed(label_names(model.config), task)
    take_labels(model, task)
    classifier = Classifier(model, load_tokenizer(path, model))
    if unnamed:
        check_order(model, task.labels, _reward_examples(classifier, task), path)
    return classifier


def new_text_classifier(path: str | Path, task: Task, seed: int = 0) -> Classifier:
    """Load a pretrained encoder and put a fresh head on it; see `kselect.models.text_classifier.load_encoder`."""
    with seeded(seed):
        model, unfit = load_pretrained(path, **label_settings(task))
        redraw(model, unfit)
        centre(model, task)
    return Classifier(model, load_tokenizer(path, model))


def load_text_student(path: str | Path, task: Task, seed: int = 0) -> Classifier:
    """Load any checkpoint as a student, with a fresh head unless its own is the task's; see `load_student` there."""
    model, unfit = load_pretrained(path)
    if unfit or label_fault(model, task) is not None:
        return new_text_classifier(path, task, seed)
    take_labels(model, task)
    return Classifier(model, load_tokenizer(path, model))


def _reward_examples(classifier: Classifier, task: Task) -> EncodedSplit | None:
    if "reward" not in task.splits:
        return None
    split = task.splits["reward"]
    first = split.take(range(min(JUDGED_BY, len(split))))
    return task.encode(first, classifier.tokenizer, input_length(classifier, None))


def load_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a fine-tuned classifier (teacher or student) for `task` from a folder or a hub id.

    A head whose labels are the task's in another order, or in other case, is put in the task's.

    Raises:
        KselectError: no model there; one of words for a task of texts; weights that do not fill it (they are named), the
            head's or others; labels other than the task's, or without names and clearly in another order.
    """
    return load_text_classifier(path, task) if is_text(task) else load_word_classifier(path, task)


def load_encoder(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load a pretrained encoder and put a fresh head for `task` on it, drawn with `seed`.

    A head that the checkpoint was fine-tuned with, for whatever task, is replaced; of a pretrained one only the output
    layer is.

    Raises:
        KselectError: no model there, or one whose encoder is not whole.
    """
    if is_text(task):
        return new_text_classifier(path, task, seed)
    return new_word_classifier(path, task, head, seed)


def load_student(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load any checkpoint as a student of `task`.

    A head that was trained for the task's labels (or for as many without names) is kept; any other, or none, is
    replaced by a fresh one, drawn with `seed`.

    Raises:
        KselectError: no model there, or one whose encoder is not whole.
    """
    if is_text(task):
        return load_text_student(path, task, seed)
    if is_trained(path, task, head):
        return load_word_classifier(path, task)
    return new_word_classifier(path, task, head, seed)
