from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks import Task, load_task


def test_rte_from_a_folder(rte_folder: Path) -> None:
    task = load_task("rte", rte_folder)
    assert task.labels == ("entailment", "not_entailment")
    assert task.metrics == ("accuracy",)
    assert {name: Counter(split.labels) for name, split in task.splits.items()} == {
        "train": {0: 9, 1: 27},
        "reward": {0: 1, 1: 3},
        "dev": {0: 2, 1: 6},
    }
    assert task.splits["dev"].text_a[0] == 'A "dev premise 0 .'
    assert task.splits["dev"].text_b == [f"Hypothesis {i} ." for i in range(8)]
    assert task.constant_score() == {"accuracy": 0.75, "score": 0.75}


def test_a_folder_that_holds_glue(rte_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glue = rte_folder / "glue"
    glue.mkdir()
    (rte_folder / "RTE").rename(glue / "RTE")
    assert load_task("rte", rte_folder) == load_task("rte", str(glue))
    monkeypatch.setenv("KSELECT_DATA", str(rte_folder))
    assert load_task("rte") == load_task("rte", glue)


def test_cola_and_sst2_and_mrpc_formats(tmp_path: Path) -> None:
    files = {
        "CoLA": "gj04\t{label}\t*\tA sentence {i} .",
        "SST-2": "A sentence {i} . \t{label}",
        "MRPC": "{label}\t{i}\t{i}\tA sentence {i} .\tAnother .",
    }
    headers = {
        "CoLA": "",
        "SST-2": "sentence\tlabel\n",
        "MRPC": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n",
    }
    for folder, row in files.items():
        (tmp_path / folder).mkdir()
        for part in ("train", "dev"):
            rows = "".join(row.format(i=i, label=int(i >= 5)) + "\n" for i in range(20))
            (tmp_path / folder / f"{part}.tsv").write_text(headers[folder] + rows, encoding="utf-8")
    names = {"cola": ("unacceptable", "acceptable"), "sst2": ("negative", "positive")}
    names["mrpc"] = ("not_equivalent", "equivalent")
    for name, labels in names.items():
        task = load_task(name, tmp_path)
        assert task.labels == labels
        assert task.splits["dev"].labels == [0] * 5 + [1] * 15
        assert task.splits["dev"].text_a[7].strip() == "A sentence 7 ."
        assert (task.splits["dev"].text_b is not None) == (name == "mrpc")
    assert load_task("cola", tmp_path).constant_score() == {"matthews": 0.0, "score": 0.0}
    # Always "equivalent": 15 of 20 right, F1 = 2 * 15 / (20 + 15).
    assert load_task("mrpc", tmp_path).constant_score() == pytest.approx(
        {"accuracy": 0.75, "f1": 6 / 7, "score": (0.75 + 6 / 7) / 2}
    )


def test_no_folder_named(monkeypatch: pytest.MonkeyPatch, message_of: Callable[..., str]) -> None:
    monkeypatch.delenv("KSELECT_DATA", raising=False)
    assert message_of(load_task, "mrpc") == (
        "No data folder for MRPC: give --data_dir or set KSELECT_DATA to a folder in GLUE's TSV layout "
        "(MRPC/train.tsv and MRPC/dev.tsv)."
    )


def test_a_folder_without_the_task(rte_folder: Path, message_of: Callable[..., str]) -> None:
    assert message_of(load_task, "sst2", rte_folder) == (
        f"{rte_folder} has no folder SST-2 or glue/SST-2: give --data_dir or set KSELECT_DATA to a folder "
        "in GLUE's TSV layout (SST-2/train.tsv and SST-2/dev.tsv)."
    )


def test_a_missing_file(rte_folder: Path, message_of: Callable[..., str]) -> None:
    (rte_folder / "RTE" / "dev.tsv").unlink()
    assert message_of(load_task, "rte", rte_folder) == (
        f"{rte_folder}/RTE/dev.tsv does not exist: put the file there, or give another --data_dir."
    )


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_label_outside_the_set(rte_folder: Path, message_of: Callable[..., str]) -> None:
    path = edit(rte_folder / "RTE" / "train.tsv", "Hypothesis 4 .\tentailment", "Hypothesis 4 .\tneutral")
    assert message_of(load_task, "rte", rte_folder) == (
        f"{path}:6 has the label 'neutral', expected one of entailment, not_entailment: mend or remove that row."
    )


def test_a_row_with_too_few_fields(rte_folder: Path, message_of: Callable[..., str]) -> None:
    path = edit(rte_folder / "RTE" / "dev.tsv", "\tHypothesis 2 .", "")
    assert message_of(load_task, "rte", rte_folder) == (
        f"{path}:4 has 3 fields, expected 4 (index, sentence1, sentence2, label): mend or remove that row."
    )


def test_a_missing_column(rte_folder: Path, message_of: Callable[..., str]) -> None:
    path = edit(rte_folder / "RTE" / "train.tsv", "sentence2", "sentence_2")
    assert message_of(load_task, "rte", rte_folder) == (
        f"{path} has no column 'sentence2': did you mean 'sentence_2'? Columns found: index, sentence1, "
        "sentence_2, label. Give its first line the column names that GLUE has."
    )


# GLUE's own train files; where a dev was carved out of them, train and dev together have these counts.
OFFICIAL_TRAIN = {"mrpc": (3668, [1194, 2474]), "rte": (2490, [1249, 1241]), "cola": (8551, [2528, 6023])}


@pytest.mark.parametrize("name", OFFICIAL_TRAIN)
def test_real_sizes_and_label_counts(name: str, real_task: Callable[..., Task]) -> None:
    task = real_task(name)
    size, counts = OFFICIAL_TRAIN[name]
    found = Counter(task.splits["train"].labels) + Counter(task.splits["reward"].labels)
    if sum(found.values()) != size:
        found += Counter(task.splits["dev"].labels)
    assert [found[0], found[1]] == counts


@pytest.mark.parametrize(("name", "paired"), [("mrpc", True), ("rte", True), ("cola", False), ("sst2", False)])
def test_real_texts_and_stratification(name: str, paired: bool, real_task: Callable[..., Task]) -> None:
    task = real_task(name)
    train, reward = task.splits["train"], task.splits["reward"]
    assert len(reward) == round(0.1 * (len(train) + len(reward)))
    assert sum(reward.labels) / len(reward) == pytest.approx(sum(train.labels) / len(train), abs=1 / len(reward))
    for split in task.splits.values():
        assert (split.text_b is not None) == paired
        assert all(text.strip() for text in split.text_a)
        assert set(split.labels) == {0, 1}
