from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks import Task, load_task, load_test
from tests.glue_files import FOLDERS, LABELS, gold, parts, text, write_tsv

METRICS = {
    "cola": ("matthews",),
    "sst2": ("accuracy",),
    "mrpc": ("accuracy", "f1"),
    "stsb": ("pearson", "spearman"),
    "qqp": ("accuracy", "f1"),
    "mnli": ("accuracy",),
    "qnli": ("accuracy",),
    "rte": ("accuracy",),
    "wnli": ("accuracy",),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_task_from_its_tsv_files(name: str, tmp_path: Path) -> None:
    write_tsv(tmp_path, name)
    task = load_task(name, tmp_path)
    assert (task.labels, task.metrics) == (tuple(LABELS[name]), METRICS[name])
    assert {part: len(split) for part, split in task.splits.items()} == {
        "train": 36,
        "reward": 4,
        "dev": 12,
        **({"dev_mismatched": 12} if name == "mnli" else {}),
    }
    for split, part in zip(task.reported, parts(name, "dev"), strict=True):
        found = task.splits[split]
        assert found.text_a == [text(part, row) for row in range(12)]
        assert found.text_b == (None if name in ("cola", "sst2") else [text(part, row, True) for row in range(12)])
    dev = [row % 11 / 2 if name == "stsb" else row % len(LABELS[name]) for row in range(12)]
    assert task.splits["dev"].labels == dev


@pytest.mark.parametrize("name", FOLDERS)
def test_examples_to_predict_by_the_name_of_their_submission(name: str, tmp_path: Path) -> None:
    write_tsv(tmp_path, name)
    tests = load_test(name, tmp_path)
    assert list(tests) == (["MNLI-m", "MNLI-mm"] if name == "mnli" else [FOLDERS[name]])
    for part, test in zip(parts(name, "test"), tests.values(), strict=True):
        assert test.ids == ["0", "1", "2", "3", "4"]
        assert test.split.text_a == [text(part, row) for row in range(5)]
        assert (test.split.text_b is None) == (name in ("cola", "sst2"))


def test_a_test_file_without_ids_counts_its_rows(tmp_path: Path) -> None:
    path = write_tsv(tmp_path, "rte") / "test.tsv"
    path.write_text("sentence1\tsentence2\nfirst\tsecond\nthird\tfourth\n")
    assert load_test("rte", tmp_path)["RTE"].ids == ["0", "1"]


def test_ids_are_given_once_each(tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = write_tsv(tmp_path, "rte") / "test.tsv"
    path.write_text("index\tsentence1\tsentence2\n7\ta\tb\n8\ta\tb\n7\ta\tb\n")
    assert message_of(load_test, "rte", tmp_path) == (
        f"{path}:4 repeats the index '7' of {path}:2: give every row a different one."
    )
    path.write_text("index\tsentence1\tsentence2\n\ta\tb\n")
    assert message_of(load_test, "rte", tmp_path) == (f"{path}:2 has nothing in 'index': fix or remove that row.")


def test_a_task_without_test_examples(tmp_path: Path, message_of: Callable[..., str]) -> None:
    folder = write_tsv(tmp_path, "rte", test=0)
    assert message_of(load_test, "rte", tmp_path).startswith(f"{folder}/test.tsv does not exist")
    assert message_of(load_test, "synthetic-entailment").startswith("synthetic-entailment has no test split")


def test_constants_of_a_folder(tmp_path: Path, rte_folder: Path) -> None:
    task = load_task("rte", rte_folder)
    assert {name: Counter(split.labels) for name, split in task.splits.items()} == {
        "train": {0: 9, 1: 27},
        "reward": {0: 1, 1: 3},
        "dev": {0: 2, 1: 6},
    }
    assert task.splits["dev"].text_a[0] == 'A "dev premise 0 .'
    assert task.constant_score() == {"accuracy": 0.75, "score": 0.75}
    write_tsv(tmp_path, "cola")
    assert load_task("cola", tmp_path).constant_score() == {"matthews": 0.0, "score": 0.0}


def test_a_folder_that_holds_glue(rte_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glue = rte_folder / "glue"
    glue.mkdir()
    (rte_folder / "RTE").rename(glue / "RTE")
    assert load_task("rte", rte_folder) == load_task("rte", str(glue))
    monkeypatch.setenv("KSELECT_DATA", str(rte_folder))
    assert load_task("rte") == load_task("rte", glue)


def test_a_folder_without_the_task(rte_folder: Path, message_of: Callable[..., str]) -> None:
    message = message_of(load_task, "sst2", rte_folder)
    assert message.startswith(f"{rte_folder} has no folder SST-2 or glue/SST-2: give another data_dir")
    assert "SST-2/train.tsv and SST-2/dev.tsv" in message


def test_a_missing_file(rte_folder: Path, message_of: Callable[..., str]) -> None:
    (rte_folder / "RTE" / "dev.tsv").unlink()
    assert message_of(load_task, "rte", rte_folder) == (
        f"{rte_folder}/RTE/dev.tsv does not exist: put the file there, or give another path."
    )


def edit(path: Path, old: str, new: str) -> Path:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_label_outside_the_set(rte_folder: Path, message_of: Callable[..., str]) -> None:
    path = edit(rte_folder / "RTE" / "train.tsv", "Hypothesis 4 .\tentailment", "Hypothesis 4 .\tneutral")
    assert message_of(load_task, "rte", rte_folder) == (
        f"{path}:6 has the label 'neutral', expected one of entailment, not_entailment: fix or remove that row."
    )


@pytest.mark.parametrize("score", ["high", "nan", "inf", ""])
def test_a_score_that_is_no_number(score: str, tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = edit(write_tsv(tmp_path, "stsb") / "train.tsv", f"{gold('stsb', 3)}\n4", f"{score}\n4")
    assert message_of(load_task, "stsb", tmp_path) == (
        f"{path}:5 has '{score}' in 'score', expected a number: fix or remove that row."
    )


def test_a_row_with_too_few_fields(rte_folder: Path, message_of: Callable[..., str]) -> None:
    path = edit(rte_folder / "RTE" / "dev.tsv", "\tHypothesis 2 .", "")
    assert message_of(load_task, "rte", rte_folder) == (
        f"{path}:4 has 3 fields, expected 4 (index, sentence1, sentence2, label): fix or remove that row."
    )


def test_a_missing_column(rte_folder: Path, message_of: Callable[..., str]) -> None:
    path = edit(rte_folder / "RTE" / "train.tsv", "sentence2", "sentence_2")
    assert message_of(load_task, "rte", rte_folder) == (
        f"{path} has no column 'sentence2': did you mean 'sentence_2'? Columns found: index, sentence1, "
        "sentence_2, label. Rename one of them, or name another."
    )


# GLUE's own train files; where a dev was carved out of them, train and dev together have these counts.
OFFICIAL_TRAIN = {
    "mrpc": (3668, [1194, 2474]),
    "rte": (2490, [1249, 1241]),
    "cola": (8551, [2528, 6023]),
    "wnli": (635, [323, 312]),
}


@pytest.mark.parametrize("name", OFFICIAL_TRAIN)
def test_real_sizes_and_label_counts(name: str, real_task: Callable[..., Task]) -> None:
    task = real_task(name)
    size, counts = OFFICIAL_TRAIN[name]
    found = Counter(task.splits["train"].labels) + Counter(task.splits["reward"].labels)
    if sum(found.values()) != size:
        found += Counter(task.splits["dev"].labels)
    assert [found[0], found[1]] == counts


@pytest.mark.parametrize("name", FOLDERS)
def test_real_texts_and_stratification(name: str, real_task: Callable[..., Task]) -> None:
    task = real_task(name)
    train, reward = task.splits["train"], task.splits["reward"]
    # Copies of a text stay together, so that the share is not exact.
    assert len(reward) == pytest.approx(0.1 * (len(train) + len(reward)), rel=0.01, abs=1)
    assert set(train.keys()).isdisjoint(reward.keys())
    step = 0.1 if task.regression else 1 / len(reward)
    assert sum(reward.labels) / len(reward) == pytest.approx(sum(train.labels) / len(train), abs=max(2 * step, 0.001))
    for split in task.splits.values():
        assert (split.text_b is not None) == (name not in ("cola", "sst2"))
        assert all(text.strip() for text in split.text_a)
        if task.regression:
            assert all(0 <= score <= 5 for score in split.labels)
        else:
            assert set(split.labels) == set(range(task.num_labels))
