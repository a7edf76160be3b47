from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kselect.tasks import OwnFiles, load_task, load_test


def write(path: Path, labels: list[object], **columns: object) -> str:
    """Write a JSONL file of pairs with these labels."""
    rows = [
        {"name": f"{path.stem}-{i}", "premise": f"first {i}", "claim": f"second {i}", "verdict": label, **columns}
        for i, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


PAIRS = ("premise", "claim")


def test_pairs_of_three_classes(tmp_path: Path) -> None:
    files = OwnFiles(
        PAIRS,
        train_file=write(tmp_path / "train.jsonl", ["no", "yes", "maybe", "yes"] * 10),
        dev_file=write(tmp_path / "dev.jsonl", ["maybe", "no"]),
        label_column="verdict",
        id_column="name",
    )
    task = load_task("claims", files=files, reward_fraction=0.2)
    assert (task.name, task.labels, task.metrics) == ("claims", ("maybe", "no", "yes"), ("accuracy",))
    assert {part: Counter(split.labels) for part, split in task.splits.items()} == {
        "train": {0: 8, 1: 8, 2: 16},
        "reward": {0: 2, 1: 2, 2: 4},
        "dev": {0: 1, 1: 1},
    }
    assert task.splits["dev"].text_b == ["second 0", "second 1"]


def test_the_order_of_labels_is_ones_own(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ["no", "yes", "yes", "no"] * 10)
    files = OwnFiles(["claim"], train, label_column="verdict", labels=["yes", "no"], metrics=["matthews", "f1"])
    task = load_task("claims", files=files)
    assert (task.labels, task.metrics) == (("yes", "no"), ("matthews", "f1"))
    assert task.splits["train"].text_b is None
    assert load_task("claims", files=OwnFiles(["claim"], train, label_column="verdict")).metrics == ("accuracy", "f1")


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [10, 2, 9, 2, 10, 9] * 5)
    assert load_task("t", files=OwnFiles(PAIRS, train, label_column="verdict")).labels == ("2", "9", "10")


def test_without_a_dev_file_a_stratified_tenth_of_train_is_held_out_first(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ["a", "b", "b", "b"] * 25)
    task = load_task("t", files=OwnFiles(PAIRS, train, label_column="verdict"), reward_fraction=0.2)
    # A tenth of 100, then a fifth of the 90 left.
    assert {part: len(split) for part, split in task.splits.items()} == {"train": 72, "reward": 18, "dev": 10}
    assert all(Counter(split.labels)[0] in (len(split) // 4, len(split) // 4 + 1) for split in task.splits.values())
    texts = [text for split in task.splits.values() for text in split.text_a]
    assert len(set(texts)) == 100


def test_decimals_are_labels_where_they_are_whole_or_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl", [0.0, 1.0] * 20)
    assert load_task("t", files=OwnFiles(PAIRS, whole, label_column="verdict")).labels == ("0.0", "1.0")
    named = write(tmp_path / "named.jsonl", ["1.1", "1.2"] * 20)
    files = OwnFiles(PAIRS, named, label_column="verdict", labels=["1.1", "1.2"])
    assert load_task("t", files=files).labels == ("1.1", "1.2")


def test_scores(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [i / 4 for i in range(40)])
    task = load_task("t", files=OwnFiles(PAIRS, train, label_column="verdict", regression=True))
    assert (task.labels, task.num_labels, task.regression) == ((), 1, True)
    assert task.metrics == ("pearson", "spearman")
    assert task.constant_score() == {"pearson": 0.0, "spearman": 0.0, "score": 0.0}
    assert all(isinstance(score, float) for score in task.splits["dev"].labels)


def test_examples_to_predict(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", [None, None])
    tests = load_test("claims", files=OwnFiles(PAIRS, test_file=test, id_column="name"))
    assert tests["claims"].ids == ["test-0", "test-1"]
    assert tests["claims"].split.text_b == ["second 0", "second 1"]
    assert load_test("claims", files=OwnFiles(PAIRS, test_file=test))["claims"].ids == ["0", "1"]


def test_bad_input(tmp_path: Path, message_of: Callable[..., str]) -> None:
    train = write(tmp_path / "train.jsonl", ["a", "b"] * 10)
    dev = write(tmp_path / "dev.jsonl", ["a", "c"])
    twice = write(tmp_path / "twice.jsonl", ["a", "b"], name="same")
    empty = tmp_path / "empty.csv"
    empty.write_text("premise,verdict\n")

    def refusal(**settings: object) -> str:
        given = {"text_columns": PAIRS, "train_file": train, "label_column": "verdict", **settings}
        return message_of(lambda: load_task("t", files=OwnFiles(**given)))  # bad on purpose

    assert refusal(text_columns=["premis", "claim"]).startswith(
        f"{train} has no column 'premis': did you mean 'premise'? Columns found: name, premise, claim, verdict."
    )
    assert refusal(text_columns=["a", "b", "c"]) == "text_columns names 3 columns: give one, or two for pairs."
    assert refusal(dev_file=dev) == (
        f"{dev}:2 has the label 'c', expected one of a, b: mend or remove that row, or give --labels with every label."
    )
    assert refusal(labels=["a", "a"]) == "labels names one twice: a, a."
    assert refusal(labels=["a", "c"]).startswith(f"{train}:2 has the label 'b', expected one of a, c")
    assert refusal(labels=["a", "b"], regression=True).startswith("labels and regression exclude each other")
    assert refusal(regression=True).startswith(f"{train}:1 has 'a' in 'verdict', expected a number")
    assert refusal(train_file=None) == "--train_file is missing: give the file with the train examples."
    assert refusal(dev_file=str(empty)) == f"{empty} holds no examples: fill it, or give another."
    assert refusal(dev_file=twice, id_column="name") == (
        f"{twice}:2 repeats the name 'same' of {twice}:1: give every row one of its own."
    )
    assert refusal(label_column="name", train_file=twice) == (
        f"{twice} has one label only, same: give labels, or regression for scores."
    )
    assert refusal(labels=["a"]) == "labels names 1: give two or more, or regression for scores."
    many = write(tmp_path / "many.jsonl", [i / 7 for i in range(30)])
    assert refusal(train_file=many) == (
        f"'verdict' of {many} has 30 different labels in 30 rows: give regression if they are scores, or another "
        "label_column."
    )
    decimals = write(tmp_path / "decimals.jsonl", [i % 4 / 2 for i in range(30)])
    assert refusal(train_file=decimals) == (
        f"'verdict' of {decimals} holds decimals (0.0, 0.5, 1.0, ...): give regression if they are scores, or labels "
        "if they are names."
    )
    spaced = write(tmp_path / "spaced.jsonl", ["pos", "neg", " pos"] * 9)
    assert refusal(train_file=spaced) == f"{spaced}:3 has the label ' pos', a row above 'pos': write them alike."
    listed = write(tmp_path / "listed.jsonl", ["pos", ["neg"]] * 9)
    assert refusal(train_file=listed) == f"{listed}:2 has ['neg'] in 'verdict', expected one text or number."
    half = write(tmp_path / "half.jsonl", ["a", "b"] * 9, claim="x \ud800")
    assert refusal(train_file=half) == (
        f"{half}:1 has half a character ('\\ud800') in 'claim': mend or remove that row."
    )
    assert refusal(metrics=["acuracy"]).startswith("Unknown metric 'acuracy': did you mean 'accuracy'?")
    assert refusal(metrics=["pearson"]) == (
        "The metric pearson does not measure classes: give some of accuracy, f1, macro_f1, matthews."
    )
    assert message_of(load_task, "MRPC", files=OwnFiles(PAIRS, train)).startswith(
        "MRPC is the name of a task with data of its own"
    )


def test_predicting_needs_a_test_file(tmp_path: Path, message_of: Callable[..., str]) -> None:
    files = OwnFiles(PAIRS, train_file=write(tmp_path / "train.jsonl", ["a", "b"]))
    assert message_of(load_test, "t", files=files) == "--test_file is missing: give the file with the test examples."
