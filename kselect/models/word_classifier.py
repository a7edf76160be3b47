"""Models that label words: loaded, built on an encoder, or given another head."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForTokenClassification, PreTrainedModel

from kselect.errors import KselectError
from kselect.models.agreement import check_scheme
from kselect.models.checksums import check_checksums
from kselect.models.classifier import Classifier, count_parameters
from kselect.models.heads.parser import Parser, SecondOrderParser
from kselect.models.heads.registry import (
    TOKEN_CLASSIFIERS,
    check_head,
    heads_of,
    new_head,
    output_labels,
)
from kselect.models.heads.saved import FACTS, load_head, saved_facts
from kselect.models.heads.tagger import Tagger
from kselect.models.label_names import label_names, named_labels, order_of
from kselect.models.output_layer import redraw, reorder
from kselect.models.pretrained import load_config, load_pretrained, load_tokenizer, quiet
from kselect.models.scratch import seeded
from kselect.models.text_classifier import not_fine_tuned
from kselect.tasks.task import Task
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.schemes import TagSet
from kselect.tasks.words.tagging_task import TaggingTask

PARSERS = (Parser.name, SecondOrderParser.name)
"""Heads that score arcs."""


def load_word_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a model that was trained on `task`: a folder of ours, or any token classifier as a tagger.

    The labels of a token classifier that are the task's in another order, or in other case, are put in the task's
    order.

    Raises:
        KselectError: no model there, one for other tasks, labels that are not the task's, or predictions that are
            clearly in another scheme.
    """
    facts = saved_facts(path)
    name = str(facts.get("head", heads_of(task)[0]))
    check_head(name, task)
    if not facts and name in PARSERS:
        raise KselectError(f"{path} has no {FACTS}, without which a model does not predict trees: give one with it.")
    model, unfit = load_pretrained(path, _auto_class(name))
    if unfit:
        raise not_fine_tuned(path, task.name, unfit)
    if not facts:
        _adopt_labels(model, task)
    labels = label_names(model.config) if name in TOKEN_CLASSIFIERS else ()
    _check_labels(tuple(facts.get("labels", labels)), task, path)
    head = load_head(name, task, int(model.config.hidden_size), labels, facts.get("sizes"), path)
    classifier = Classifier(model, load_tokenizer(path, model), head.eval(), task.labels)
    if isinstance(task, TaggingTask):
        check_scheme(classifier, task, path)
    return classifier


def load_parser(path: str | Path) -> Classifier:
    """Load a model that scores arcs, under any relations, to parse texts of other tasks."""
    facts = saved_facts(path)
    if facts.get("head") not in PARSERS:
        raise KselectError(
            f"{path} has no parser with the head {' or '.join(PARSERS)}: give a model that was trained on trees.",
            setting="parser",
        )
    parser = load_word_classifier(path, ParsingTask(Path(path).name, tuple(facts.get("labels", ())), {}, ("las",)))
    check_checksums(Path(path))
    return parser


def new_word_classifier(path: str | Path, task: Task, head: str | None = None, seed: int = 0) -> Classifier:
    """Load a pretrained encoder under a new head, drawn with `seed`; by default the task's usual one."""
    name = head or heads_of(task)[0]
    check_head(name, task)
    labels = output_labels(name, task)
    with seeded(seed):
        model, unfit = load_pretrained(path, _auto_class(name), **_label_settings(name, labels))
        new = redraw(model, unfit) if name in TOKEN_CLASSIFIERS else 0
        made = new_head(name, task, int(model.config.hidden_size), labels)
    new += count_parameters(made)
    return Classifier(model, load_tokenizer(path, model), made.eval(), task.labels, new_parameters=new)


def with_head(classifier: Classifier, task: Task, head: str, seed: int = 0) -> Classifier:
    """Return a copy of a model under a new head of another kind, drawn with `seed`."""
    check_head(head, task)
    labels = output_labels(head, task)
    config = copy.deepcopy(classifier.model.config)
    for name, value in _label_settings(head, labels).items():
        setattr(config, name, value)
    with seeded(seed), quiet():
        model = _auto_class(head).from_config(config, dtype=torch.float32)
        made = new_head(head, task, classifier.width, labels)
    missing = model.base_model.load_state_dict(classifier.model.base_model.state_dict(), strict=False).missing_keys
    random = [name for name in missing if "pooler" not in name]
    if random:
        raise KselectError(
            f"A {type(classifier.model).__name__} has no {random[0]} for {type(model).__name__}: give another encoder."
        )
    output = count_parameters(model) - count_parameters(model.base_model)
    return Classifier(
        model.eval(),
        classifier.tokenizer,
        made.eval(),
        task.labels,
        new_parameters=output + count_parameters(made),
        training_texts=classifier.training_texts,
    )


def saved_head(path: str | Path) -> str | None:
    """Return the head of a saved model of words; None for any other model, and for what is not a local folder.

    A token classifier that was saved without a head has a tagger.
    """
    if not Path(path, "config.json").is_file():
        return None
    facts = saved_facts(path)
    if facts:
        return str(facts["head"])
    architectures: list[str] = load_config(path).architectures or []
    return Tagger.name if any("TokenClassification" in name for name in architectures) else None


def is_trained(path: str | Path, task: Task, head: str | None = None) -> bool:
    """Whether a local folder has a model that was trained for a task's labels, with `head` or, without one, any."""
    saved = saved_head(path)
    if saved is None or saved not in ((head,) if head else heads_of(task)):
        return False
    labels = saved_facts(path).get("labels")
    if labels is None:
        return order_of(_spelled(label_names(load_config(path)), task), task) is not None
    return tuple(labels) == task.labels


def _adopt_labels(model: PreTrainedModel, task: Task) -> None:
    """Give the labels of a token classifier the task's order and names, where they are the task's."""
    order = order_of(_spelled(label_names(model.config), task), task)
    if order is None:
        return
    if order != sorted(order):
        reorder(model, order)
    for name, value in _label_settings(Tagger.name, task.labels).items():
        setattr(model.config, name, value)


def _spelled(tags: tuple[str, ...], task: Task) -> tuple[str, ...]:
    """Return a model's tags as BIOES spells them, if they are those of BMES or BMEWO and the task's are BIOES."""
    if not isinstance(task, TaggingTask) or task.tag_set.scheme != "bioes":
        return tags
    letters: Mapping[str, str] = {"M": "I", "W": "S"}
    return tuple(letters.get(tag[0], tag[0]) + tag[1:] if tag[1:2] in ("", "-") and tag else tag for tag in tags)


def _check_labels(known: tuple[str, ...], task: Task, path: str | Path) -> None:
    """Refuse a model's labels where they are not the task's, with the scheme to give where that is the difference."""
    if known == task.labels:
        return
    if isinstance(task, TaggingTask) and (scheme := _other_scheme(known, task)) is not None:
        raise KselectError(
            f"{path} predicts tags in {scheme.upper()}, and {task.name} is read in {task.tag_set.scheme.upper()}: "
            f"give {scheme} as scheme.",
            setting="scheme",
        )
    differing = sorted(set(known) ^ set(task.labels))
    difference = f"'{differing[0]}' is in one of them only" if differing else "they are in another order"
    raise KselectError(
        f"{path} has {len(known)} labels and {task.name} {len(task.labels)}, {difference}: give a model trained on "
        f"{task.name} as it is read here."
    )


def _other_scheme(tags: tuple[str, ...], task: TaggingTask) -> str | None:
    """Return the scheme of a model's tags where they differ from the task's in nothing else; None elsewhere."""
    named = TagSet.named(tags)
    same_labels = set(tags) == set(named.tags) and named.labels == task.tag_set.labels
    return named.scheme if same_labels and named.scheme != task.tag_set.scheme else None


def _auto_class(head: str) -> Any:
    return AutoModelForTokenClassification if head in TOKEN_CLASSIFIERS else AutoModel


def _label_settings(head: str, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return the entries of a config that name the outputs of the token classifier before a head."""
    return {"num_labels": len(labels), **named_labels(labels)} if head in TOKEN_CLASSIFIERS else {}
