"""Models that label words: loaded, made of an encoder, or given another head."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification, PreTrainedModel

from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.heads.parser import Parser, SecondOrderParser
from kselect.models.heads.registry import (
    PARSING,
    TOKEN_CLASSIFIERS,
    check_head,
    heads_of,
    load_weights,
    new_head,
    output_labels,
    saved_facts,
)
from kselect.models.heads.tagger import Tagger
from kselect.models.labels import label_names, order_of
from kselect.models.output_layer import redraw, reorder
from kselect.models.pretrained import load_pretrained, load_tokenizer, quiet
from kselect.models.scratch import seeded
from kselect.tasks.task import Task
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.schemes import TagSet
from kselect.tasks.words.tagging_task import TaggingTask

PARSERS = (Parser.name, SecondOrderParser.name)
"""Heads that score arcs."""


def load_word_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a model that was trained on `task`: what `save_pretrained` left, or any token classifier as a tagger.

    The labels of one from elsewhere that are the task's in another order, or in other case, are put in the task's.

    Raises:
        KselectError: no model there, one for other tasks, or labels that are not the task's.
    """
    facts = saved_facts(path)
    name = str(facts.get("head", heads_of(task)[0]))
    check_head(name, task)
    model, unfit = load_pretrained(path, _auto(name))
    if unfit:
        raise KselectError(
            f"{path} is not fine-tuned: {', '.join(sorted(unfit))} would be random. "
            f"Run `kselect train-teacher --encoder {path} --task {task.name}` and use the model it saves."
        )
    if not facts:
        _take_order(model, task)
    labels = label_names(model.config) if name in TOKEN_CLASSIFIERS else ()
    known = tuple(facts.get("labels", labels))
    if known != task.labels:
        if isinstance(task, TaggingTask) and (scheme := _other_scheme(known, task)) is not None:
            raise KselectError(
                f"{path} gives tags in {scheme.upper()}, and {task.name} is read in {task.tag_set.scheme.upper()}: "
                f"give --scheme {scheme}."
            )
        strange = sorted(set(known) ^ set(task.labels))
        told = f"'{strange[0]}' is in one of them only" if strange else "they are in another order"
        raise KselectError(
            f"{path} has {len(known)} labels and {task.name} {len(task.labels)}, {told}: give a model trained on "
            f"{task.name} as it is read here."
        )
    head = new_head(name, task, int(model.config.hidden_size), labels, facts.get("sizes"))
    load_weights(head, path)
    return Classifier(model, load_tokenizer(path, model), head.eval(), task.labels)


def load_parser(path: str | Path) -> Classifier:
    """Load a model that scores arcs, whatever its relations are, for texts of other tasks.

    Raises:
        KselectError: no such model there.
    """
    facts = saved_facts(path)
    if facts.get("head") not in PARSERS:
        raise KselectError(
            f"{path} holds no parser under the head {' or '.join(PARSERS)}: give a folder that `kselect train-teacher "
            f"--task_type trees` left."
        )
    return load_word_classifier(path, ParsingTask(Path(path).name, tuple(facts.get("labels", ())), {}, ("las",)))


def new_word_classifier(path: str | Path, task: Task, head: str | None = None, seed: int = 0) -> Classifier:
    """Load a pretrained encoder and put a fresh head on it, drawn with `seed`; by default the task's usual one.

    Raises:
        KselectError: no model there, one whose encoder is not whole, or a head that does not answer the task.
    """
    name = head or heads_of(task)[0]
    check_head(name, task)
    labels = output_labels(name, task)
    with seeded(seed):
        model, unfit = load_pretrained(path, _auto(name), **_settings(name, labels))
        if name in TOKEN_CLASSIFIERS:
            redraw(model, unfit)
        made = new_head(name, task, int(model.config.hidden_size), labels)
    return Classifier(model, load_tokenizer(path, model), made.eval(), task.labels)


def with_head(classifier: Classifier, task: Task, head: str, seed: int = 0) -> Classifier:
    """Return a copy of a model under a fresh head of another kind, drawn with `seed`.

    Raises:
        KselectError: a head that does not answer the task.
    """
    check_head(head, task)
    labels = output_labels(head, task)
    config = copy.deepcopy(classifier.model.config)
    for name, value in _settings(head, labels).items():
        setattr(config, name, value)
    with seeded(seed), quiet():
        model = _auto(head).from_config(config, dtype=torch.float32)
        made = new_head(head, task, classifier.width, labels)
    missing = model.base_model.load_state_dict(classifier.model.base_model.state_dict(), strict=False).missing_keys
    random = [name for name in missing if "pooler" not in name]
    if random:
        raise KselectError(
            f"A {type(classifier.model).__name__} has no {random[0]} for {type(model).__name__}: give another encoder."
        )
    return Classifier(model.eval(), classifier.tokenizer, made.eval(), task.labels)


def _take_order(model: PreTrainedModel, task: Task) -> None:
    """Give the labels of a token classifier the task's order and names, where they are the task's."""
    order = order_of(label_names(model.config), task)
    if order is None:
        return
    if order != sorted(order):
        reorder(model, order)
    for name, value in _settings(Tagger.name, task.labels).items():
        setattr(model.config, name, value)


def saved_head(path: str | Path) -> str | None:
    """Return the name of the head of a saved model of words; None of any other, and of what is not a local folder.

    A token classifier from elsewhere has a tagger.
    """
    if not Path(path, "config.json").is_file():
        return None
    facts = saved_facts(path)
    architectures: list[str] = AutoConfig.from_pretrained(path).architectures or []
    plain = any("TokenClassification" in name for name in architectures)
    return str(facts["head"]) if facts else (Tagger.name if plain else None)


def _other_scheme(tags: tuple[str, ...], task: TaggingTask) -> str | None:
    """Return the scheme of a model's tags where they differ from the task's in nothing else; None elsewhere."""
    named = TagSet.named(tags)
    alike = set(tags) == set(named.tags) and named.labels == task.tag_set.labels
    return named.scheme if alike and named.scheme != task.tag_set.scheme else None


def refuse_words(path: str | Path, task: Task) -> None:
    """Refuse a model of words for a task of texts, of which it knows nothing.

    Raises:
        KselectError: it is one, by its `head.json` or its config.
    """
    head = saved_head(path)
    if head is not None:
        gives = "trees" if head in PARSING else "tags"
        raise KselectError(
            f"{path} is a model of words, which gives {gives} under the head {head}, and {task.name} is of texts: give "
            f"a classifier of texts, such as `kselect train-teacher --task {task.name}` saves."
        )


def is_trained(path: str | Path, task: Task, head: str | None = None) -> bool:
    """Whether a local folder has a model that was trained for a task's labels, under `head` or, without one, any."""
    saved = saved_head(path)
    if saved is None or saved not in ((head,) if head else heads_of(task)):
        return False
    labels = saved_facts(path).get("labels")
    if labels is None:
        return order_of(label_names(AutoConfig.from_pretrained(path)), task) is not None
    return tuple(labels) == task.labels


def _auto(head: str) -> Any:
    return AutoModelForTokenClassification if head in TOKEN_CLASSIFIERS else AutoModel


def _settings(head: str, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return the entries of the config of the model before a head that name what its output layer tells apart."""
    if head not in TOKEN_CLASSIFIERS:
        return {}
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
