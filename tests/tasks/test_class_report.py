"""Scores by class against plain counts, and against the scores of the task."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kselect.io import to_json
from kselect.tasks.class_report import ClassReport, class_report
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words.schemes import read_spans
from tests.tiny import tiny_classifier, tiny_task
from tests.words import parsing_task, tagging_task, tokenizer

RNG = np.random.default_rng(0)


def report_of(task: Task[Any], encoded: Any, answers: list[NDArray[Any]]) -> ClassReport:
    report = class_report(task, answers, encoded, np.arange(len(encoded)))
    assert report is not None
    return report


def f1(right: int, predicted: int, gold: int) -> float:
    return 2 * right / (predicted + gold) if right else 0.0


def test_classes_of_texts() -> None:
    task = tiny_task("synthetic-topics")
    encoded = task.encode(task.splits["dev"], tiny_classifier(task, layers=1).tokenizer, 16)
    answers = RNG.integers(len(task.labels), size=len(encoded))
    report = report_of(task, encoded, list(answers))
    gold = encoded.labels
    assert report.names == list(task.labels)
    for row, name in enumerate(task.labels):
        assert report.confusion[row].tolist() == [
            int(((gold == row) & (answers == k)).sum()) for k in range(len(report.names))
        ]
        right, predicted, support = (
            ((gold == row) & (answers == row)).sum(),
            (answers == row).sum(),
            (gold == row).sum(),
        )
        assert report.scores[name].f1 == pytest.approx(f1(right, predicted, support))
        assert report.scores[name].support == support
    accuracy = task.score_rows(list(answers), encoded, np.arange(len(encoded)))["accuracy"]
    assert np.trace(report.confusion) / report.confusion.sum() == pytest.approx(accuracy)
    assert json.loads(to_json(report.to_dict()))["macro_f1"] == pytest.approx(report.macro_f1)


def test_a_regression_has_no_classes() -> None:
    task = TextTask("scores", (), {}, ("pearson",))
    assert class_report(task, [], None, np.arange(0)) is None  # type: ignore[arg-type]


def changed(labels: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """Labels a third of which are others."""
    return [np.where(RNG.random(len(each)) < 0.3, RNG.integers(size, size=len(each)), each) for each in labels]


def test_f1_of_each_entity_type() -> None:
    task = tagging_task()
    encoded = task.encode(task.splits["train"], tokenizer(), 24)
    answers = changed(encoded.labels, len(task.labels))
    report = report_of(task, encoded, answers)
    tags = task.tags(answers, encoded, np.arange(len(encoded)))
    sides: list[Counter[tuple[Any, ...]]] = [Counter(), Counter()]
    for number, found in tags.items():
        for side, sequence in zip(sides, (encoded.split.sentences[number].tags, found), strict=True):
            side.update((number, *span) for span in read_spans(sequence))
    whole = task.score_rows(answers, encoded, np.arange(len(encoded)))["f1"]
    assert list(report.scores) == ["X", "Y"]
    counts = {
        label: [
            sum(n for span, n in side.items() if span[-1] == label)
            for side in (sides[0] & sides[1], sides[1], sides[0])
        ]
        for label in report.scores
    }
    for label, (right, predicted, gold) in counts.items():
        assert report.scores[label].f1 == pytest.approx(f1(right, predicted, gold))
        assert report.scores[label].support == gold
    assert whole == pytest.approx(f1(*(sum(each) for each in zip(*counts.values(), strict=True))))
    assert report.names == ["O", "X", "Y"]
    assert report.confusion.sum() == encoded.word_counts.sum()


def test_plain_tags_are_classes_of_words() -> None:
    spans = tagging_task()
    task = replace(
        spans, tag_set=replace(spans.tag_set, scheme="plain", labels=spans.tag_set.tags), file_scheme="plain"
    )
    encoded = task.encode(task.splits["train"], tokenizer(), 24)
    answers = changed(encoded.labels, len(task.labels))
    report = report_of(task, encoded, answers)
    accuracy = task.score_rows(answers, encoded, np.arange(len(encoded)))["accuracy"]
    assert np.trace(report.confusion) / report.confusion.sum() == pytest.approx(accuracy)


def test_arcs_of_each_relation() -> None:
    task = parsing_task()
    encoded = task.encode(task.splits["train"], tokenizer(), 24)
    wrong = [np.stack([np.where(RNG.random(len(each)) < 0.3, 0, each[:, 0]), each[:, 1]], 1) for each in encoded.labels]
    report = report_of(task, encoded, wrong)
    las = task.score_rows(wrong, encoded, np.arange(len(encoded)))["las"]
    right = sum(scores.recall * scores.support for scores in report.scores.values())
    assert report.names == ["a_b", "nmod", "root"]
    assert right / encoded.word_counts.sum() == pytest.approx(las)
    assert 0 < las < 1
    assert np.trace(report.confusion) == report.confusion.sum()  # the relations themselves are right
