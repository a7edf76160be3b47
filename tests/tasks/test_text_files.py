from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from kselect.errors import KselectError
from kselect.tasks import TextFiles, load_task, load_test
from kselect.tasks.splits import UNLABELLED


def write(path: Path, labels: Sequence[object], **columns: object) -> str:
    """Write a JSONL file of pairs with these labels."""
    rows = [
        {"name": f"{path.stem}-{i}", "premise": f"first {i}", "claim": f"second {i}", "verdict": label, **columns}
        for i, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


PAIRS = ("premise", "claim")


def test_pairs_of_three_classes(tmp_path: Path) -> None:
    files = TextFiles(
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
    files = TextFiles(["claim"], train, label_column="verdict", labels=["yes", "no"], metrics=["matthews", "f1"])
    task = load_task("claims", files=files)
    assert (task.labels, task.metrics) == (("yes", "no"), ("matthews", "f1"))
    assert task.splits["train"].text_b is None
    assert load_task("claims", files=TextFiles(["claim"], train, label_column="verdict")).metrics == ("accuracy", "f1")


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [10, 2, 9, 2, 10, 9] * 5)
    assert load_task("t", files=TextFiles(PAIRS, train, label_column="verdict")).labels == ("2", "9", "10")


def test_without_a_dev_file_a_stratified_tenth_of_train_is_held_out_first(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ["a", "b", "b", "b"] * 25)
    task = load_task("t", files=TextFiles(PAIRS, train, label_column="verdict"), reward_fraction=0.2)
    # A tenth of 100, then a fifth of the 90 left.
    assert {part: len(split) for part, split in task.splits.items()} == {"train": 72, "reward": 18, "dev": 10}
    assert all(Counter(split.labels)[0] in (len(split) // 4, len(split) // 4 + 1) for split in task.splits.values())
    texts = [text for split in task.splits.values() for text in split.text_a]
    assert len(set(texts)) == 100


def test_decimals_are_labels_where_they_are_whole_or_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl", [0.0, 1.0] * 20)
    assert load_task("t", files=TextFiles(PAIRS, whole, label_column="verdict")).labels == ("0.0", "1.0")
    named = write(tmp_path / "named.jsonl", ["1.1", "1.2"] * 20)
    files = TextFiles(PAIRS, named, label_column="verdict", labels=["1.1", "1.2"])
    assert load_task("t", files=files).labels == ("1.1", "1.2")


def test_scores(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [i / 4 for i in range(40)])
    task = load_task("t", files=TextFiles(PAIRS, train, label_column="verdict", regression=True))
    assert (task.labels, task.num_labels, task.regression) == ((), 1, True)
    assert task.metrics == ("pearson", "spearman")
    assert task.constant_score() == {"pearson": 0.0, "spearman": 0.0, "score": 0.0}
    assert all(isinstance(score, float) for score in task.splits["dev"].labels)


def test_examples_to_predict(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", [None, None])
    tests = load_test("claims", files=TextFiles(PAIRS, test_file=test, id_column="name"))
    assert tests["claims"].ids == ["test-0", "test-1"]
    assert tests["claims"].split.text_b == ["second 0", "second 1"]
    assert load_test("claims", files=TextFiles(PAIRS, test_file=test))["claims"].ids == ["0", "1"]


def test_ids_that_the_file_lacks_are_not_replaced_by_row_numbers(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", [None, None])
    found = list(TextFiles(PAIRS, test_file=test, id_column="name").stream_unlabelled())
    assert found[0].ids == ["test-0", "test-1"]
    with pytest.raises(KselectError, match="has no column 'nmae': did you mean 'name'") as refused:
        list(TextFiles(PAIRS, test_file=test, id_column="nmae").stream_unlabelled())
    assert refused.value.setting == "id_column"


def test_bad_input(tmp_path: Path, message_of: Callable[..., str]) -> None:
    train = write(tmp_path / "train.jsonl", ["a", "b"] * 10)
    dev = write(tmp_path / "dev.jsonl", ["a", "c"])
    twice = write(tmp_path / "twice.jsonl", ["a", "b"], name="same")
    empty = tmp_path / "empty.csv"
    empty.write_text("premise,verdict\n")

    def refusal(**settings: Any) -> str:
        given: dict[str, Any] = {"text_columns": PAIRS, "train_file": train, "label_column": "verdict", **settings}
        return message_of(lambda: load_task("t", files=TextFiles(**given)))  # bad on purpose

    assert refusal(text_columns=["premis", "claim"]).startswith(
        f"{train} has no column 'premis': did you mean 'premise'? Columns found: name, premise, claim, verdict."
    )
    assert refusal(text_columns=["a", "b", "c"]) == "text_columns names 3 columns: give one, or two for pairs."
    assert refusal(dev_file=dev) == (
        f"{dev}:2 has the label 'c', expected one of a, b: fix or remove that row, or give every label as labels."
    )
    assert refusal(labels=["a", "a"]) == "labels names one twice: a, a."
    assert refusal(labels=["a", "c"]).startswith(f"{train}:2 has the label 'b', expected one of a, c")
    assert refusal(labels=["a", "b"], regression=True).startswith("labels and regression exclude each other")
    assert refusal(regression=True).startswith(f"{train}:1 has 'a' in 'verdict', expected a number")
    assert refusal(train_file=None) == "train_file is missing: give the file with the train examples."
    assert refusal(dev_file=str(empty)) == f"{empty} holds no examples: fill it, or give another."
    assert refusal(dev_file=twice, id_column="name") == (
        f"{twice}:2 repeats the name 'same' of {twice}:1: give every row a different one."
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
    assert (
        refusal(train_file=spaced)
        == f"{spaced}:3 has the label ' pos', a row above it 'pos': write them alike or, if they differ, give both "
        "as labels."
    )
    listed = write(tmp_path / "listed.jsonl", ["pos", ["neg"]] * 9)
    assert refusal(train_file=listed) == f"{listed}:2 has ['neg'] in 'verdict', expected one text or number."
    half = write(tmp_path / "half.jsonl", ["a", "b"] * 9, claim="x \ud800")
    assert refusal(train_file=half) == (
        f"{half}:1 has half a character ('\\ud800') in 'claim': fix or remove that row."
    )
    assert refusal(metrics=["acuracy"]).startswith("Unknown metric 'acuracy': did you mean 'accuracy'?")
    assert refusal(metrics=["pearson"]) == (
        "The metric pearson does not measure classes: give some of accuracy, f1, macro_f1, matthews."
    )
    assert message_of(load_task, "MRPC", files=TextFiles(PAIRS, train)).startswith(
        "MRPC is the name of a known task with its own data"
    )


def test_predicting_needs_a_test_file(tmp_path: Path, message_of: Callable[..., str]) -> None:
    files = TextFiles(PAIRS, train_file=write(tmp_path / "train.jsonl", ["a", "b"]))
    assert message_of(load_test, "t", files=files) == "test_file is missing: give the file with the test examples."


@pytest.mark.parametrize(
    ("labels", "row", "spellings"),
    [
        (["Pos", "neg", "pos"], 3, "'pos', a row above it 'Pos'"),
        (["1", "0", "1.0"], 3, "'1.0', a row above it '1'"),
        (["1", "0", "01"], 3, "'01', a row above it '1'"),
        ([1, False, True], 3, "'True', a row above it '1'"),
        (["cafe\u0301", "bar", "caf\u00e9"], 3, "'caf\u00e9', a row above it 'cafe\u0301'"),
        (["\ufeffpos", "neg", "pos"], 3, "'pos', a row above it '\\ufeffpos'"),
        (["pos\u200b", "neg", "pos"], 3, "'pos', a row above it 'pos\\u200b'"),
        (["pos\u00a0", "neg", "pos"], 3, "'pos', a row above it 'pos\\xa0'"),
    ],
)
def test_text_files_refuse_two_spellings_of_a_label(
    labels: list[object], row: int, spellings: str, tmp_path: Path, message_of: Callable[..., str]
) -> None:
    train = write(tmp_path / "train.jsonl", labels * 9)
    files = TextFiles(PAIRS, train, label_column="verdict")
    assert message_of(load_task, "t", files=files).startswith(f"{train}:{row} has the label {spellings}: write them")
    named = replace(files, labels=[str(label) for label in labels])  # on purpose
    assert load_task("t", files=named).num_labels == 3


@pytest.mark.parametrize(
    ("labels", "mark"),
    [([-1, 0, 1], "-1"), (["-", "neg", "pos"], "-"), (["nan", "0", "1"], "nan"), (["N/A", "a", "b"], "N/A")],
)
def test_text_files_warn_of_marks_of_missing_labels(
    labels: list[object], mark: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = write(tmp_path / "train.jsonl", labels * 9)
    load_task("t", files=TextFiles(PAIRS, train, label_column="verdict"))
    assert f"{mark} (9 rows)" in caplog.text
    assert f"if '{mark}' marks a missing label" in caplog.text


def test_text_files_do_not_warn_of_ordinary_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ordinary: list[list[Any]] = [[-1, 1], [0, 1, 2], ["neg", "pos"]]
    for labels in ordinary:
        train = write(tmp_path / "train.jsonl", labels * 9)
        load_task("t", files=TextFiles(PAIRS, train, label_column="verdict"))
    assert caplog.text == ""


@pytest.fixture
def dataset() -> DatasetDict:
    """Sixty texts of a ClassLabel whose names are not in alphabetical order, and twelve to validate on."""
    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    rows = {"text": [f"text {i}" for i in range(72)], "label": [i % 2 for i in range(72)]}
    data = Dataset.from_dict(rows, features=features)
    return DatasetDict({"train": data.select(range(60)), "validation": data.select(range(60, 72))})


def test_text_files_read_a_saved_dataset(dataset: DatasetDict, tmp_path: Path, message_of: Callable[..., str]) -> None:
    dataset["test"] = dataset["validation"].remove_columns("label")
    dataset.save_to_disk(tmp_path / "saved")
    files = TextFiles(["text"], dataset="saved", data_dir=tmp_path)
    task = load_task("mine", files=files)
    assert task.labels == ("pos", "neg")  # in the order of its ids
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 54, "reward": 6, "dev": 12}
    assert task.splits["dev"].labels == [0, 1] * 6
    assert load_test("mine", files=files)["mine"].split.text_a == dataset["test"]["text"][:]
    dataset["train"].save_to_disk(tmp_path / "single")
    assert len(load_task("mine", files=replace(files, dataset="single")).splits["dev"]) == 6
    folder = message_of(load_task, "mine", files=TextFiles(["text"], str(tmp_path / "saved")))
    assert folder.endswith("saved is a folder: give a file or, if datasets saved it, the folder as dataset.")
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    assert "a.csv is a file, not a data set: give it as train_file." in message_of(
        load_task, "mine", files=replace(files, dataset="a.csv")
    )


def test_text_files_name_the_classes_of_a_parquet_file(dataset: DatasetDict, tmp_path: Path) -> None:
    dataset["train"].to_parquet(tmp_path / "train.parquet")
    task = load_task("mine", files=TextFiles(["text"], str(tmp_path / "train.parquet")))
    assert task.labels == ("pos", "neg")
    assert "text 0" in [text for split in task.splits.values() for text in split.text_a]


def test_text_files_learn_from_unlabelled_texts(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ["no", "yes"] * 20)
    (tmp_path / "new.csv").write_text("premise,claim\n" + "".join(f"new {i},too\n" for i in range(30)))
    plain = TextFiles(PAIRS, train, label_column="verdict", id_column="name")
    files = replace(plain, unlabelled_file=str(tmp_path / "new.csv"))
    labelled, task = load_task("t", files=plain), load_task("t", files=files)
    assert (labelled.is_labelled, task.is_labelled) == (True, False)
    assert task.splits["train"].text_a == [f"new {i}" for i in range(30)]
    assert set(task.splits["train"].labels) == {UNLABELLED}
    assert [task.splits[name] for name in ("reward", "dev")] == [labelled.splits[name] for name in ("reward", "dev")]
    assert task.constant_score()["accuracy"] == 0.5
    assert len(load_task("t", files=files, train_limit=5).splits["train"]) == 5
    scores = TextFiles(["premise"], write(tmp_path / "scores.jsonl", [i / 4 for i in range(40)]), regression=True)
    scores = replace(scores, label_column="verdict", unlabelled_file=str(tmp_path / "new.csv"))
    task = load_task("t", files=scores)
    assert not task.is_labelled
    assert np.isfinite([task.uninformed_loss, task.constant_score()["score"]]).all()
