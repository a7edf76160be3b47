"""Models that classify whole texts: loaded, or made of an encoder."""

from __future__ import annotations

from pathlib import Path

from kselect.errors import KselectError
from kselect.models.agreement import check_labels, check_unit
from kselect.models.classifier import Classifier
from kselect.models.label_names import adopt_labels, are_unnamed, label_mismatch, label_names, label_settings
from kselect.models.output_layer import centre, redraw
from kselect.models.pretrained import load_pretrained, load_tokenizer
from kselect.models.scratch import seeded
from kselect.tasks.task import TextTask


def load_text_classifier(path: str | Path, task: TextTask) -> Classifier:
    """Load a model that was fine-tuned on `task`; see `kselect.models.loading.load_classifier`."""
    model, unfit = load_pretrained(path)
    if unfit:
        raise not_fine_tuned(path, task.name, unfit)
    mismatch = label_mismatch(model, task)
    if mismatch is not None:
        raise KselectError(f"{path} {mismatch}.")
    unnamed = not task.regression and are_unnamed(label_names(model.config), task)
    adopt_labels(model, task)
    classifier = Classifier(model, load_tokenizer(path, model))
    if task.regression:
        check_unit(classifier, task, path)
    elif not task.multi_label:
        check_labels(classifier, task, path, unnamed)
    return classifier


def new_text_classifier(path: str | Path, task: TextTask, seed: int = 0) -> Classifier:
    """Load a pretrained encoder under a new head; see `kselect.models.loading.load_encoder`."""
    with seeded(seed):
        model, unfit = load_pretrained(path, **label_settings(task))
        new = redraw(model, unfit)
        centre(model, task)
    return Classifier(model, load_tokenizer(path, model), new_parameters=new)


def load_text_student(path: str | Path, task: TextTask, seed: int = 0) -> Classifier:
    """Load any checkpoint as a student; see `kselect.models.loading.load_student`."""
    model, unfit = load_pretrained(path)
    if unfit or label_mismatch(model, task) is not None:
        return new_text_classifier(path, task, seed)
    adopt_labels(model, task)
    return Classifier(model, load_tokenizer(path, model))


def not_fine_tuned(path: str | Path, task: str, unfit: set[str]) -> KselectError:
    """Return the error for a model some of whose weights, named `unfit`, are not in its checkpoint."""
    return KselectError(
        f"{path} is not fine-tuned: {', '.join(sorted(unfit))} would be random. Train it on {task} as an encoder "
        "first, and give the model that this saves."
    )
