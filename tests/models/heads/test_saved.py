"""The files of a head: whatever is wrong with them, they are refused in a line or read as they were written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.loading import load_classifier, load_student
from kselect.models.word_classifier import load_parser
from tests.answers import HEADS
from tests.damage import damaged, read_or_refused
from tests.words import task_for, word_classifier

LEARNED = [head for head in HEADS if head not in ("tagger", "tree-tagger")]
Facts = dict[str, Any]
Weights = dict[str, Tensor]


@pytest.fixture(params=HEADS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, Classifier]:
    made = word_classifier(request.param)
    made.save_pretrained(tmp_path)
    return request.param, tmp_path, made


def without(name: str) -> Callable[[Facts], Facts]:
    return lambda facts: {key: value for key, value in facts.items() if key != name}


WRONG_FACTS: dict[str, Callable[[Facts], Any]] = {
    "empty": lambda facts: {},
    "a list": lambda facts: [facts],
    "no head": without("head"),
    "another head": lambda facts: {**facts, "head": "crff"},
    "a list for a head": lambda facts: {**facts, "head": ["crf"]},
    "null for labels": lambda facts: {**facts, "labels": None},
    "a text for labels": lambda facts: {**facts, "labels": "abc"},
    "a number among labels": lambda facts: {**facts, "labels": [1, *facts["labels"][1:]]},
    "one label less": lambda facts: {**facts, "labels": facts["labels"][1:]},
    "a list for sizes": lambda facts: {**facts, "sizes": [1]},
    "a text for a size": lambda facts: {**facts, "sizes": {"size": "6", "arc_size": "6"}},
    "a size of 0": lambda facts: {**facts, "sizes": {"size": 0, "arc_size": 0}},
    "a size of true": lambda facts: {**facts, "sizes": {"size": True, "arc_size": True}},
}
WRONG_SIZES: dict[str, Callable[[Facts], Any]] = {
    "an unknown size": lambda facts: {**facts, "sizes": {**facts["sizes"], "sise": 6}},
    "a huge size": lambda facts: {
        **facts,
        "sizes": {"size": 10**9} if "size" in facts["sizes"] else {"arc_size": 10**9},
    },
    "a size beyond all": lambda facts: {
        **facts,
        "sizes": {"size": 10**30} if "size" in facts["sizes"] else {"arc_size": 10**30},
    },
}


@pytest.mark.parametrize("wrong", WRONG_FACTS)
def test_wrong_facts_are_refused(wrong: str, saved: tuple[str, Path, Classifier]) -> None:
    head, folder, _ = saved
    facts = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(WRONG_FACTS[wrong](facts)))
    assert read_or_refused(lambda: load_classifier(folder, task_for(head))) is None
    read_or_refused(lambda: load_student(folder, task_for(head)))


@pytest.mark.parametrize("wrong", WRONG_SIZES)
@pytest.mark.parametrize("head", ["spans", "parser", "second-order-parser"])
def test_wrong_sizes_are_refused_before_memory_is_taken(head: str, wrong: str, tmp_path: Path) -> None:
    word_classifier(head).save_pretrained(tmp_path)
    facts = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps(WRONG_SIZES[wrong](facts)))
    with pytest.raises(KselectError, match=r"head.safetensors does not fit the head that head.json describes"):
        load_classifier(tmp_path, task_for(head))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{", b"[" * 100_000, b'{"head": "c' + b"\x00" + b'rf"}'])
def test_what_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    word_classifier("crf").save_pretrained(tmp_path)
    (tmp_path / "head.json").write_bytes(content)
    with pytest.raises(KselectError, match=r"^[^\n]*head.json cannot be read [^\n]*: save the model again\.$"):
        load_classifier(tmp_path, task_for("crf"))


def changed(weights: Weights, change: Callable[[Tensor], Tensor]) -> Weights:
    name = max(weights, key=lambda name: weights[name].numel())
    return {**weights, name: change(weights[name])}


WRONG_WEIGHTS: dict[str, Callable[[Weights], Weights]] = {
    "none": lambda weights: {},
    "one less": lambda weights: dict(list(weights.items())[1:]),
    "one more": lambda weights: {**weights, "more": torch.zeros(2)},
    "another shape": lambda weights: changed(weights, lambda weight: weight[..., 1:].contiguous()),
    "a transposed shape": lambda weights: changed(weights, lambda weight: weight.flatten()),
    "whole numbers": lambda weights: changed(weights, lambda weight: weight.to(torch.int32)),
    "complex numbers": lambda weights: changed(weights, lambda weight: weight.to(torch.complex64)),
    "NaN": lambda weights: changed(weights, lambda weight: weight * torch.nan),
    "infinity": lambda weights: changed(weights, lambda weight: torch.full_like(weight, -torch.inf)),
}


@pytest.mark.parametrize("wrong", WRONG_WEIGHTS)
@pytest.mark.parametrize("head", LEARNED)
def test_wrong_weights_are_refused(head: str, wrong: str, tmp_path: Path) -> None:
    word_classifier(head).save_pretrained(tmp_path)
    path = tmp_path / "head.safetensors"
    save_file(WRONG_WEIGHTS[wrong](load_file(path)), path)
    with pytest.raises(KselectError, match=r"^[^\n]*head.safetensors (does not fit|has weights that are not finite)"):
        load_classifier(tmp_path, task_for(head))


@pytest.mark.parametrize("head", LEARNED)
@pytest.mark.parametrize("other", LEARNED)
def test_weights_of_another_head_are_refused(head: str, other: str, tmp_path: Path) -> None:
    if head == other:
        return
    word_classifier(head).save_pretrained(tmp_path / "model")
    word_classifier(other).save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "head.safetensors").replace(tmp_path / "model" / "head.safetensors")
    with pytest.raises(KselectError, match=r"^[^\n]*head.safetensors does not fit"):
        load_classifier(tmp_path / "model", task_for(head))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["head.json", "head.safetensors"])
def test_random_damage_is_refused_or_changes_nothing_but_weights(
    file: str, saved: tuple[str, Path, Classifier]
) -> None:
    head, folder, made = saved
    if not (folder / file).exists():
        pytest.skip(f"{head} has no {file}")
    whole, rng = (folder / file).read_bytes(), np.random.default_rng(0)
    for _ in range(40):
        (folder / file).write_bytes(damaged(whole, rng))
        loaded = read_or_refused(lambda: load_classifier(folder, task_for(head)))
        if loaded is None:
            continue
        assert loaded.labels == made.labels
        ours, theirs = made.head.state_dict(), loaded.head.state_dict()
        assert [(name, value.shape) for name, value in ours.items()] == [(name, theirs[name].shape) for name in theirs]
        assert all(bool(value.isfinite().all()) for value in theirs.values())
        if file == "head.json":
            assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_without_head_json_no_model_is_read_as_another(saved: tuple[str, Path, Classifier]) -> None:
    """All but a tagger need it: a CRF would lose its transitions, and arcs be read as tags."""
    head, folder, made = saved
    (folder / "head.json").unlink()
    if head == "tagger":
        (folder / "checksums.json").unlink()  # as transformers alone would save it
        assert load_classifier(folder, task_for(head)).labels == made.labels
        return
    lacks = (
        r"has no head.json, without which" if head == "tree-tagger" else "has a head.safetensors without its head.json"
    )
    with pytest.raises(KselectError, match=lacks):
        load_classifier(folder, task_for(head))


@pytest.mark.parametrize("labels", [["LABEL_0"], ["_nsubj"], ["1.5_a_b"], ["-1_unknown"], ["root"], ["-²_a_b"]])
def test_tags_that_are_of_no_arc_are_refused(labels: list[str], tmp_path: Path) -> None:
    word_classifier("tree-tagger").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    count = len(config["id2label"])
    names = [*labels, *[config["id2label"][str(i)] for i in range(1, count)]]
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_or_refused(lambda: load_classifier(tmp_path, task_for("tree-tagger"))) is None


@pytest.mark.parametrize("load", [lambda folder: load_classifier(folder, task_for("parser")), load_parser])
def test_weights_that_were_set_to_zero_are_refused(load: Callable[[Path], Classifier], tmp_path: Path) -> None:
    word_classifier("parser").save_pretrained(tmp_path)
    assert load(tmp_path).head.name == "parser"
    file = tmp_path / "model.safetensors"
    zeros = {name: torch.zeros_like(value) for name, value in load_file(file).items()}
    save_file(zeros, file, {"format": "pt"})
    with pytest.raises(KselectError, match=r"model.safetensors is damaged, or not the file that was saved"):
        load(tmp_path)


@pytest.mark.parametrize("head", ["tagger", "parser"])
def test_encoders_with_weights_that_are_not_finite_are_refused(head: str, tmp_path: Path) -> None:
    made = word_classifier(head)
    with torch.no_grad():
        next(iter(made.model.parameters()))[1, 2] = torch.nan
    made.save_pretrained(tmp_path)
    with pytest.raises(KselectError, match=r"has weights that are not finite \(.*word_embeddings.weight\)"):
        load_classifier(tmp_path, task_for(head))
