"""Loaded models: answers and probabilities of every head, against the model itself and plain transformers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import kselect
from kselect.config import HEADS
from kselect.distillation.evaluation import predict
from kselect.errors import KselectError
from kselect.inference.predictor import BATCHES, ParseTree, Predictor
from kselect.tasks.splits import Split
from kselect.tasks.words import find_tree_error
from tests.tiny import tiny_classifier, tiny_task
from tests.words import POSITIONS, WORDS, task_for, word_classifier

SENTENCES = [["ab", "cd"], ["h"], ["abcd", "ef", "ghh", "b", "ab"], ["ghh", "ghh"]]
LONG = [WORDS[i % len(WORDS)] for i in range(3 * POSITIONS)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a student of texts."""
    folder = tmp_path_factory.mktemp("run")
    tiny_classifier(tiny_task(), layers=1).save_pretrained(folder / "student")
    (folder / "config.yaml").write_text("task: my task\nmax_length: 16\n")
    return folder


def logits(folder: Path, *texts: list[str]) -> np.ndarray:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(*texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits.numpy()


def test_texts_are_answered_as_plain_transformers_does(run: Path) -> None:
    model = kselect.load(run, precision="fp32", batch_size=3)
    texts = tiny_task().splits["dev"].text_a[:20]
    expected = logits(run / "student", texts)
    assert model.max_length == 16
    assert model.labels == tiny_task().labels
    assert model.predict(texts) == [model.labels[label] for label in expected.argmax(-1)]
    softmax = torch.from_numpy(expected).softmax(-1).numpy()
    np.testing.assert_allclose(model.predict_proba(texts), softmax, atol=1e-6)


def test_pairs_are_answered_as_plain_transformers_does(run: Path) -> None:
    model = kselect.load(run, precision="fp32")
    texts = tiny_task().splits["dev"].text_a[:8]
    expected = logits(run / "student", texts, texts[::-1])
    found = model.predict_proba(list(zip(texts, texts[::-1], strict=True)))
    np.testing.assert_allclose(found, torch.from_numpy(expected).softmax(-1).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "refused", "read"),
    [
        ("text_columns: [review]", [("a", "b")], ["a"]),
        ("text_columns: [question, answer]", ["a"], [("a", "b")]),
        ("task: rte", ["a"], [("a", "b")]),
        ("task: synthetic-topics", [("a", "b")], ["a"]),
        ("task: synthetic-entailment", ["a"], [("a", "b")]),
    ],
)
def test_a_model_of_single_texts_refuses_pairs_and_the_reverse(
    settings: str, refused: list[Any], read: list[Any], run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run / "student", tmp_path / "student")
    (tmp_path / "config.yaml").write_text(f"{settings}\n" if "task" in settings else f"task: mine\n{settings}\n")
    model = kselect.load(tmp_path)
    assert len(model.predict(read)) == 1
    with pytest.raises(KselectError, match=r"The model was trained on .*, and these are .*: give it "):
        model.predict(refused)


def test_a_stream_reads_no_further_than_a_few_batches(run: Path) -> None:
    model, read = kselect.load(run, batch_size=2), []

    def texts() -> Iterator[str]:
        for text in tiny_task().splits["train"].text_a:
            read.append(text)
            yield text

    stream = model.stream(texts())
    next(stream)
    assert len(read) == 2 * BATCHES < len(tiny_task().splits["train"])
    assert len(list(stream)) == len(read) - 1
    assert model.predict([]) == []
    assert np.shape(model.predict_proba([])) == (0, 2)


@pytest.mark.parametrize("head", [*HEADS["tags"], *HEADS["trees"]])
def test_words_are_answered_by_every_head(head: str, tmp_path: Path) -> None:
    task, classifier = task_for(head), word_classifier(head)
    classifier.save_pretrained(tmp_path)
    model = kselect.load(tmp_path, precision="fp32", batch_size=2)
    # Tags are in the scheme of the model, as no run names another.
    reading: Any = model.task if head in HEADS["tags"] else task
    split: Any = task.encode(task.splits["dev"], classifier.tokenizer, model.max_length)
    every = np.arange(len(split))
    expected = reading.answers(predict(classifier, split, every, 8, torch.float32).answers, split, every)
    found = model.predict([list(sentence.words) for sentence in task.splits["dev"].sentences])
    assert found == [expected[number] for number in range(len(found))]
    if head in HEADS["trees"]:
        assert all(isinstance(tree, ParseTree) and find_tree_error(tree.heads) is None for tree in found)


@pytest.mark.parametrize("head", [*HEADS["tags"], *HEADS["trees"]])
def test_probabilities_are_marginals_of_every_head(head: str, tmp_path: Path) -> None:
    word_classifier(head).save_pretrained(tmp_path)
    model = kselect.load(tmp_path, precision="fp32")
    alone = [model.predict_proba([words])[0] for words in SENTENCES]
    for words, shares, single in zip(SENTENCES, model.predict_proba(SENTENCES), alone, strict=True):
        width = 1 + len(words) if head in HEADS["trees"] else len(model.labels)
        assert shares.shape == (len(words), width)
        np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(shares, single, atol=1e-5)
    if head in HEADS["trees"]:  # a tree has one root
        np.testing.assert_allclose([shares[:, 0].sum() for shares in alone], 1, atol=1e-4)


@pytest.mark.parametrize("head", ["crf", "parser"])
def test_a_sentence_in_pieces_is_answered_whole(head: str, tmp_path: Path) -> None:
    word_classifier(head).save_pretrained(tmp_path)
    model = kselect.load(tmp_path, precision="fp32", max_length=POSITIONS)
    ((answer, shares),) = model.stream([LONG], probabilities=True)
    assert model.in_pieces == 1
    assert shares is not None
    assert len(shares) == len(LONG)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
    assert len(answer.heads if head == "parser" else answer) == len(LONG)


def test_a_foreign_token_classifier_is_a_tagger(tmp_path: Path) -> None:
    classifier = word_classifier("tagger")
    classifier.model.config.architectures = ["BertForTokenClassification"]
    classifier.model.save_pretrained(tmp_path)
    classifier.tokenizer.save_pretrained(tmp_path)
    model = kselect.load(tmp_path, precision="fp32")
    assert [len(tags) for tags in model.predict(SENTENCES)] == [len(words) for words in SENTENCES]


def test_tags_are_in_the_scheme_of_the_runs_files(tmp_path: Path) -> None:
    word_classifier("crf").save_pretrained(tmp_path / "student")
    ours = kselect.load(tmp_path).predict(SENTENCES)
    (tmp_path / "config.yaml").write_text("task: tags\nscheme: bioes\nfile_scheme: iob2\n")
    theirs = kselect.load(tmp_path).predict(SENTENCES)
    assert {tag[0] for tags in theirs for tag in tags} <= set("OBI")
    assert {tag[0] for tags in ours for tag in tags} & set("ES")


def test_a_regression_has_scores_and_no_probabilities(tmp_path: Path) -> None:
    task = kselect.build_task("scores", [], {"train": scored()}, ["pearson"])
    tiny_classifier(task, layers=1).save_pretrained(tmp_path)
    model = kselect.load(tmp_path, precision="fp32")
    texts = task.splits["train"].text_a[:5]
    np.testing.assert_allclose(model.predict(texts), logits(tmp_path, texts)[:, 0], atol=1e-6)
    with pytest.raises(KselectError, match="The model gives scores, which have no probabilities"):
        model.predict_proba(texts)


def scored() -> Split:
    texts = tiny_task().splits["train"].text_a
    return Split(texts, None, [float(len(text)) for text in texts])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("the dog sleeps", "The inputs are a single text: give a list of texts."),
        (["a", ("b", "c")], "all of one kind, and one is ('b', 'c')."),
        ([("a", "b", "c")], "one is ('a', 'b', 'c')."),
        ([3], "one is 3."),
    ],
)
def test_other_inputs_are_refused(run: Path, inputs: object, said: str) -> None:
    with pytest.raises(KselectError) as caught:
        kselect.load(run).predict(inputs)  # type: ignore[arg-type]
    assert str(caught.value).endswith(said)


def test_a_policy_and_an_unknown_device_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text("{}")
    with pytest.raises(KselectError, match="is a policy, which selects knowledge"):
        kselect.load(tmp_path)
    for name in ("gpu", "meta"):
        with pytest.raises(KselectError, match=f"device is {name}: give auto, cpu, cuda or mps"):
            kselect.load(run, device=name)
    with pytest.raises(KselectError, match="precision 'fp17'"):
        kselect.load(run, precision="fp17")
    with pytest.raises(KselectError, match="batch_size is 0: give a positive number"):
        kselect.load(run, batch_size=0)
    assert isinstance(kselect.load(run, device="cpu"), Predictor)
