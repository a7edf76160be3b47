"""A line about the data says what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kselect.tasks import load_task
from kselect.tasks.description import describe_data
from kselect.tasks.splits import UNLABELLED, Split
from kselect.tasks.task import build_task
from kselect.tasks.words import TaggedSource, TreeSource
from tests import word_files

TRAIN = Split(["a", "b", "b", " ", "c"] * 4, None, [0, 1, 1, 0, 1] * 4)


def test_pairs_with_an_empty_second_text() -> None:
    pairs = Split(["a", "b", "c", "d"], ["x", "", "\t", "y"], [0, 1, 0, 1])
    task = build_task("mine", ["no", "yes"], {"train": pairs, "dev": pairs.take([0, 1])}, ["accuracy"])
    held_out = task.splits["reward"].labels[0]
    labels = f"{2 - (held_out == 0)} x no, {2 - (held_out == 1)} x yes"
    sizes = "3 pairs in train, 1 in reward, 2 in dev"
    assert describe_data(task) == f"mine: {sizes}; train: {labels}; 3 empty, 0 duplicates."


def test_scores_and_missing_labels() -> None:
    scores = Split([str(n) for n in range(10)], None, [0.5 * n for n in range(10)])
    said = describe_data(build_task("mine", [], {"train": scores, "dev": scores}, ["pearson"], reward_fraction=0.1))
    assert said.startswith("mine: 9 texts in train, 1 in reward, 10 in dev; train: scores from 0")
    some = Split([str(n) for n in range(6)], None, [0, UNLABELLED, 1, UNLABELLED, 1, 1])
    task = build_task("mine", ["no", "yes"], {"train": TRAIN, "dev": TRAIN}, ["accuracy"])
    for train, labels in ((some, "1 x no, 3 x yes, 2 without a label"), (TRAIN.unlabelled(), "no labels")):
        task.splits["train"] = train  # type: ignore[index]
        assert f"; train: {labels}; " in describe_data(task)


def test_several_labels_for_one_text() -> None:
    rows = Split(["a", "b", "c", "d"], None, [(1, 1), (0, 1), (0, 1), (0, 0)])
    task = build_task("mine", ["x", "y"], {"train": rows, "dev": rows}, ["micro_f1"], multi_label=True)
    task.splits["train"] = rows  # type: ignore[index]
    assert "; train: 1 x x, 3 x y; " in describe_data(task)


def test_many_labels() -> None:
    names = [f"c{n}" for n in range(12)]
    train = Split([str(n) for n in range(50)], None, [n % 12 for n in range(50)])
    task = build_task("mine", names, {"train": train, "dev": train}, ["accuracy"])
    task.splits["train"] = train  # type: ignore[index]
    assert "; train: 12 labels, from 4 x c2 to 5 x c0; " in describe_data(task)


@pytest.mark.parametrize("kind", ["tags", "trees"])
def test_words(kind: str, tmp_path: Path) -> None:
    word_files.write(tmp_path)
    sources = {"tags": TaggedSource(str(tmp_path / "train.conll")), "trees": TreeSource(str(tmp_path / "train.conllu"))}
    task = load_task("mine", files=sources[kind])
    sentences = task.splits["train"].sentences
    said = describe_data(task)
    assert said.startswith(f"mine: {len(sentences)} sentences in train, ")
    assert f"; train: {sum(map(len, sentences))} words, " in said
    labels = {label for sentence in sentences for label in (sentence.tags if kind == "tags" else sentence.relations)}
    assert all(f" x {label}" in said for label in labels)
