"""Models of words: saved and loaded, read by plain transformers, given another head, refused where they do not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForTokenClassification

from kselect.distillation.evaluation import predict
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.heads.registry import PARSING, TAGGING, TOKEN_CLASSIFIERS
from kselect.models.label_names import named_labels
from kselect.models.loading import load_classifier, load_encoder, load_student
from kselect.models.needs import Needs
from kselect.models.output_layer import reorder
from kselect.models.outputs import forward
from kselect.models.shrink import shrink
from kselect.models.word_classifier import saved_head, with_head
from kselect.tasks.words import TagSet
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.tagging_task import WordTask
from tests.answers import HEADS
from tests.tiny import tiny_task
from tests.words import ARCHITECTURES, parsing_task, tagging_task, task_for, word_classifier

every_head = pytest.mark.parametrize("head", HEADS)


def answers(classifier: Classifier, head: str) -> tuple[list[Any], list[float]]:
    task = task_for(head)
    encoded = task.encode(task.splits["dev"], classifier.tokenizer, 24)
    found = predict(classifier, encoded, np.arange(len(encoded)), 4, torch.float32)
    return [answer.tolist() for answer in found.answers], found.losses.tolist()


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@every_head
def test_what_is_loaded_is_what_was_saved(head: str, tmp_path: Path) -> None:
    made = word_classifier(head)
    made.save_pretrained(tmp_path)
    assert saved_head(tmp_path) == head
    for load in (load_classifier, load_student):
        loaded = load(tmp_path, task_for(head))
        assert same(loaded.model, made.model)
        assert same(loaded.head, made.head)
        assert loaded.head.sizes == made.head.sizes
        assert not loaded.head.training
        assert (type(loaded.head), loaded.labels) == (type(made.head), made.labels)
    assert answers(loaded, head) == answers(made, head)


@pytest.mark.parametrize(
    ("head", "architecture"), [*((head, "bert") for head in HEADS), *product(("crf", "parser"), ARCHITECTURES[1:])]
)
def test_plain_transformers_reads_what_every_architecture_saves(head: str, architecture: str, tmp_path: Path) -> None:
    made = word_classifier(head, architecture)
    task = task_for(head)
    encoded = task.encode(task.splits["dev"], made.tokenizer, 24)
    assert isinstance(encoded, EncodedWords)
    batch = encoded.batch([0, 1, 2])
    ours = forward(made.model, batch, Needs())
    made.save_pretrained(tmp_path)
    auto = AutoModelForTokenClassification if head in TOKEN_CLASSIFIERS else AutoModel
    model, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    theirs = model.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    values = theirs.logits if head in TOKEN_CLASSIFIERS else theirs.last_hidden_state
    for row, n in enumerate(encoded.word_counts[:3]):
        at_words = values[row, encoded.word_positions[row].tolist()]
        torch.testing.assert_close(ours.output[row, :n], at_words, rtol=1e-4, atol=1e-5)
    if head in ("tagger", "crf"):
        assert [model.config.id2label[i] for i in range(len(task.labels))] == list(task.labels)
    assert answers(load_classifier(tmp_path, task), head) == answers(made, head)


@pytest.mark.parametrize(
    ("architecture", "pair"),
    [
        *(("bert", pair) for pair in (("tagger", "crf"), ("spans", "crf"), ("parser", "tree-tagger"))),
        *((architecture, ("tagger", "spans")) for architecture in ARCHITECTURES),
    ],
)
def test_another_head_stands_on_the_same_encoder(architecture: str, pair: tuple[str, str], tmp_path: Path) -> None:
    made = word_classifier(pair[0], architecture)
    task = task_for(pair[0])
    other = with_head(made, task, pair[1], seed=3)
    ours, theirs = made.model.base_model.state_dict(), other.model.base_model.state_dict()
    shared = [name for name in theirs if "pooler" not in name]
    assert shared == [name for name in ours if "pooler" not in name]
    assert all(torch.equal(ours[name], theirs[name]) for name in shared)
    assert same(with_head(made, task, pair[1], seed=3).head, other.head)
    inside = {id(parameter) for parameter in other.model.base_model.parameters()}
    outside = [*other.head.parameters(), *(p for p in other.model.parameters() if id(p) not in inside)]
    assert other.new_parameters == sum(parameter.numel() for parameter in outside) > 0
    encoded = task.encode(task.splits["dev"], made.tokenizer, 24)
    last = Needs(hidden_states=frozenset({made.layers}))
    batch = encoded.batch([0, 1])
    one, two = (forward(model.model, batch, last).hidden_states[made.layers] for model in (made, other))
    torch.testing.assert_close(one, two)
    other.save_pretrained(tmp_path)
    assert answers(load_classifier(tmp_path, task), pair[1]) == answers(other, pair[1])


@pytest.mark.parametrize("head", PARSING)
def test_the_word_under_the_root_alone_is_called_root(head: str, tmp_path: Path) -> None:
    made = word_classifier(head)
    made.save_pretrained(tmp_path)
    assert made.labels is not None
    root = made.labels.index("root")
    for model in (made, shrink(made, 1), load_classifier(tmp_path, task_for(head))):
        for arcs in answers(model, head)[0]:
            assert [relation == root for _, relation in arcs] == [above == 0 for above, _ in arcs]


@every_head
def test_a_shrunk_model_keeps_its_head(head: str, tmp_path: Path) -> None:
    made = word_classifier(head)
    small = shrink(made, 1)
    assert same(small.head, made.head)
    assert small.head is not made.head
    small.save_pretrained(tmp_path)
    assert answers(load_classifier(tmp_path, task_for(head)), head) == answers(small, head)


@every_head
def test_a_new_head_is_put_on_a_trained_encoder(head: str, tmp_path: Path) -> None:
    """Of a checkpoint that was trained under the same head all but the head is kept."""
    made = word_classifier(head)
    made.save_pretrained(tmp_path)
    fresh, again, other = (load_encoder(tmp_path, task_for(head), seed, head) for seed in (0, 0, 1))
    trained = made.model.base_model.state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in fresh.model.base_model.state_dict().items())
    assert same(fresh.model, again.model)
    assert same(fresh.head, again.head)
    learned = fresh.head if head not in TOKEN_CLASSIFIERS else fresh.model
    assert not same(learned, made.head if head not in TOKEN_CLASSIFIERS else made.model)
    if head != "crf":  # one begins without transitions
        assert not same(learned, other.head if head not in TOKEN_CLASSIFIERS else other.model)
    assert not fresh.head.training
    inside = {id(parameter) for parameter in fresh.model.base_model.parameters()}
    outside = [*fresh.head.parameters(), *(p for p in fresh.model.parameters() if id(p) not in inside)]
    assert fresh.new_parameters == sum(parameter.numel() for parameter in outside) > 0
    assert load_classifier(tmp_path, task_for(head)).new_parameters == 0


def test_a_plain_token_classifier_is_a_tagger(tmp_path: Path) -> None:
    made = word_classifier("tagger")
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    assert saved_head(tmp_path) == "tagger"
    loaded = load_classifier(tmp_path, tagging_task())
    assert loaded.head.name == "tagger"
    assert answers(loaded, "tagger") == answers(made, "tagger")
    with pytest.raises(KselectError, match=r"has no head.json, without which a model does not predict trees"):
        load_classifier(tmp_path, parsing_task())


def name_labels(classifier: Classifier, names: Sequence[str]) -> None:
    """Change what a model's config calls its labels."""
    for entry, value in named_labels(names).items():
        setattr(classifier.model.config, entry, value)


def test_labels_of_a_tagger_from_elsewhere_may_stand_in_any_order_and_case(tmp_path: Path) -> None:
    made, task = word_classifier("tagger"), tagging_task()
    expected = answers(made, "tagger")
    reorder(made.model, [8, 3, 0, 1, 2, 7, 6, 5, 4])
    names = [task.labels[i].lower() for i in (8, 3, 0, 1, 2, 7, 6, 5, 4)]
    name_labels(made, names)
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    for load in (load_classifier, load_student):
        loaded = load(tmp_path, task)
        assert answers(loaded, "tagger") == expected
        assert loaded.model.config.id2label == dict(enumerate(task.labels))


def test_other_labels_are_refused_and_so_is_another_order_of_ones_own(tmp_path: Path) -> None:
    made = word_classifier("tagger")
    labels = list(tagging_task().labels)
    name_labels(made, [*labels[:-1], "S-Z"])
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(KselectError, match=r"9 labels and tags 9, .*'S-Y' is"):
        load_classifier(tmp_path, tagging_task())
    student = load_student(tmp_path, tagging_task())  # its head is of no use, its encoder is
    assert student.head.name == "tagger"
    assert student.model.config.id2label == dict(enumerate(labels))
    chain = word_classifier("crf")  # what its head has learned stands in the same order
    chain.labels = tuple(reversed(labels))
    chain.save_pretrained(tmp_path)
    with pytest.raises(KselectError, match="9 labels and tags 9, they are in another order"):
        load_classifier(tmp_path, tagging_task())


def test_a_tagger_in_another_scheme_is_refused_with_the_scheme_to_give(tmp_path: Path) -> None:
    task = tagging_task()  # in BIOES
    made = word_classifier("tagger")
    name_labels(made, TagSet("iob2", task.tag_set.labels).tags)
    AutoModelForTokenClassification.from_config(made.model.config).save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(KselectError) as refused:
        load_classifier(tmp_path, task)
    assert str(refused.value) == f"{tmp_path} predicts tags in IOB2, and tags is read in BIOES: give iob2 as scheme."


def test_a_student_may_be_any_encoder(tmp_path: Path) -> None:
    bare = word_classifier("parser").model
    bare.save_pretrained(tmp_path)
    word_classifier("parser").tokenizer.save_pretrained(tmp_path)
    assert saved_head(tmp_path) is None
    with pytest.raises(KselectError, match=r"is not fine-tuned: classifier.bias, classifier.weight would be random"):
        load_classifier(tmp_path, tagging_task())
    for head in (None, "crf", "spans"):
        student = load_student(tmp_path, tagging_task(), head=head)
        assert student.head.name == (head or "tagger")
        ours, theirs = student.model.base_model.state_dict(), bare.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_student_under_another_head_than_is_asked_for_gets_that(tmp_path: Path) -> None:
    word_classifier("crf").save_pretrained(tmp_path)
    assert load_student(tmp_path, tagging_task(), head="spans").head.name == "spans"
    kept = load_student(tmp_path, tagging_task(), head="crf")
    assert same(kept.head, word_classifier("crf").head)


@pytest.mark.parametrize(("head", "task"), [*[(h, "trees") for h in TAGGING], *[(h, "tags") for h in PARSING]])
def test_heads_for_other_tasks_are_refused(head: str, task: str, tmp_path: Path) -> None:
    made = word_classifier(head)
    made.save_pretrained(tmp_path)
    tasks: dict[str, WordTask[Any]] = {"tags": tagging_task(), "trees": parsing_task()}
    given = tasks[task]
    with pytest.raises(KselectError, match=f"Unknown head for {task} '{head}'"):
        load_classifier(tmp_path, given)
    with pytest.raises(KselectError, match=f"Unknown head for {task} '{head}'"):
        with_head(made, given, head)


@pytest.mark.parametrize("head", ["crf", "spans", "parser", "tree-tagger", None])
def test_a_model_of_words_is_refused_for_texts(head: str | None, tmp_path: Path) -> None:
    word_classifier(head or "tagger").save_pretrained(tmp_path)
    if head is None:  # a token classifier from elsewhere
        (tmp_path / "head.json").unlink()
    predicts = f"{'trees' if head in PARSING else 'tags'} with the head {head or 'tagger'}"
    with pytest.raises(KselectError, match=f"is a model of words, which predicts {predicts}, and synthetic-acc"):
        load_classifier(tmp_path, tiny_task())


def test_a_folder_whose_head_is_not_whole_is_refused(tmp_path: Path) -> None:
    word_classifier("crf").save_pretrained(tmp_path)
    facts = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.safetensors").unlink()
    with pytest.raises(KselectError, match=r"head.safetensors does not fit .*save the model again"):
        load_classifier(tmp_path, tagging_task())
    word_classifier("parser").save_pretrained(tmp_path)
    (tmp_path / "head.json").write_text(json.dumps({**facts, "head": "spans", "sizes": {"size": 5}}))
    with pytest.raises(KselectError, match="does not fit"):
        load_classifier(tmp_path, tagging_task())
    (tmp_path / "head.json").write_text("{")
    with pytest.raises(KselectError, match=r"head.json cannot be read"):
        load_classifier(tmp_path, tagging_task())


CACHED = """
from kselect.models.loading import load_classifier
from kselect.models.word_classifier import load_parser
from tests.words import task_for
print(load_classifier("somebody/crf", task_for("crf")).head.transitions.tolist())
print(load_classifier("somebody/tagger", task_for("tagger")).head.name)
print(load_parser("somebody/parser").head.name)
"""


@pytest.mark.slow
def test_what_a_head_has_learned_comes_from_the_hub_too(tmp_path: Path) -> None:
    """From its cache here, in a process of its own: where that is is read when the hub's library is imported."""
    made = {head: word_classifier(head) for head in ("crf", "tagger", "parser")}
    torch.nn.init.normal_(made["crf"].head.get_parameter("transitions"))
    for head, model in made.items():
        cached = tmp_path / "hub" / f"models--somebody--{head}"
        model.save_pretrained(cached / "snapshots" / "1")
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text("1")
    (tmp_path / "hub" / "models--somebody--tagger" / "snapshots" / "1" / "head.json").unlink()  # one from elsewhere
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", CACHED]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **offline})
    assert done.returncode == 0, done.stderr
    transitions, *names = done.stdout.splitlines()
    assert json.loads(transitions) == made["crf"].head.get_parameter("transitions").tolist()
    assert names == ["tagger", "parser"]


def test_arc_tags_want_training_data(tmp_path: Path) -> None:
    word_classifier("parser").save_pretrained(tmp_path)
    task = parsing_task()
    small = replace(task, splits={**task.splits, "train": task.splits["train"].take([0])})
    with pytest.raises(KselectError, match="No arc of trees is in its training data 2 times"):
        load_encoder(tmp_path, small, head="tree-tagger")


def test_spans_want_bioes(tmp_path: Path) -> None:
    word_classifier("spans").save_pretrained(tmp_path)
    tags = TagSet("iob2", ("X", "Y"))
    with pytest.raises(
        KselectError, match="head spans reads tags in BIOES, and these are in iob2: give bioes as scheme"
    ):
        load_encoder(tmp_path, replace(tagging_task(), tag_set=tags, labels=tags.tags), head="spans")
