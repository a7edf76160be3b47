"""Folders that `datasets` saved, in the hub's columns; and the hub, where there is none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from kselect.tasks import load_task, load_test
from tests.glue_files import LABELS, WRITTEN, gold, parts, text, write_tsv
from tests.hub import serve

TEXTS = {
    "cola": ["sentence"],
    "sst2": ["sentence"],
    "mrpc": ["sentence1", "sentence2"],
    "stsb": ["sentence1", "sentence2"],
    "qqp": ["question1", "question2"],
    "mnli": ["premise", "hypothesis"],
    "qnli": ["question", "sentence"],
    "rte": ["sentence1", "sentence2"],
    "wnli": ["sentence1", "sentence2"],
}


def as_on_the_hub(name: str, train: int = 40, dev: int = 12, test: int = 5) -> DatasetDict:
    """What `load_dataset("nyu-mll/glue", name)` gives, with the examples of `write_tsv`."""
    label: Any = ClassLabel(names=LABELS[name]) if LABELS[name] else Value("float32")
    features = Features({**{column: Value("string") for column in TEXTS[name]}, "label": label, "idx": Value("int32")})
    sizes = {"train": train, **dict.fromkeys(parts(name, "dev"), dev), **dict.fromkeys(parts(name, "test"), test)}
    splits = {}
    for part, size in sizes.items():
        rows: dict[str, list[Any]] = {"idx": list(range(size))}
        for second, column in enumerate(TEXTS[name]):
            rows[column] = [text(part, row, bool(second)) for row in range(size)]
        if part.startswith("test"):
            rows["label"] = [-1] * size
        elif name == "stsb":
            rows["label"] = [float(gold(name, row)) for row in range(size)]
        else:
            rows["label"] = [WRITTEN[name].index(gold(name, row)) for row in range(size)]
        splits[part.replace("dev", "validation")] = Dataset.from_dict(rows, features=features)
    return DatasetDict(splits)


@pytest.mark.parametrize("name", TEXTS)
def test_a_saved_folder_gives_what_the_tsv_files_give(name: str, tmp_path: Path) -> None:
    write_tsv(tmp_path / "tsv", name)
    as_on_the_hub(name).save_to_disk(tmp_path / "saved" / name)
    assert load_task(name, tmp_path / "saved") == load_task(name, tmp_path / "tsv")
    assert load_test(name, tmp_path / "saved") == load_test(name, tmp_path / "tsv")


@pytest.mark.parametrize("name", ["mnli", "stsb", "rte"])
def test_glue_source_reads_parquet_as_on_the_hub(name: str, tmp_path: Path) -> None:
    write_tsv(tmp_path / "tsv", name)
    (tmp_path / "clone" / name).mkdir(parents=True)
    for split, data in as_on_the_hub(name).items():
        for shard in range(2):
            file = tmp_path / "clone" / name / f"{split}-0000{shard}-of-00002.parquet"
            data.shard(2, shard, contiguous=True).to_parquet(file)
    assert load_task(name, tmp_path / "clone") == load_task(name, tmp_path / "tsv")
    assert load_test(name, tmp_path / "clone") == load_test(name, tmp_path / "tsv")


def test_the_saved_folder_itself_or_one_that_holds_it(tmp_path: Path) -> None:
    as_on_the_hub("rte").save_to_disk(tmp_path / "glue" / "RTE")
    assert load_task("rte", tmp_path) == load_task("rte", tmp_path / "glue" / "RTE")


def test_labels_in_another_order_are_refused(tmp_path: Path, message_of: Callable[..., str]) -> None:
    data = as_on_the_hub("rte")
    swapped = ClassLabel(names=["not_entailment", "entailment"])
    data["train"] = data["train"].cast_column("label", swapped)
    data.save_to_disk(tmp_path)
    assert message_of(load_task, "rte", tmp_path) == (
        f"{tmp_path} (train) orders its labels not_entailment, entailment, the task has entailment, not_entailment: "
        "save the data in that order."
    )


def test_labels_by_name_are_understood(tmp_path: Path) -> None:
    data = as_on_the_hub("rte")
    named = DatasetDict({part: split.cast_column("label", Value("string")) for part, split in data.items()})
    for part in ("train", "validation"):
        names = [LABELS["rte"][label] for label in data[part]["label"]]
        named[part] = named[part].remove_columns("label").add_column("label", names)
    named.save_to_disk(tmp_path / "named")
    data.save_to_disk(tmp_path / "ids")
    assert load_task("rte", tmp_path / "named") == load_task("rte", tmp_path / "ids")


def test_what_is_not_there_is_named(tmp_path: Path, message_of: Callable[..., str]) -> None:
    data = as_on_the_hub("rte")
    del data["validation"]
    data.save_to_disk(tmp_path / "parts")
    assert message_of(load_task, "rte", tmp_path / "parts") == (
        f"{tmp_path}/parts has no split 'validation'. Splits found: train, test."
    )
    as_on_the_hub("qnli").save_to_disk(tmp_path / "other")
    assert message_of(load_task, "rte", tmp_path / "other").startswith(
        f"{tmp_path}/other (train) has no column 'sentence1': did you mean 'sentence'?"
    )
    unlabelled = DatasetDict({"train": data["test"], "validation": data["train"]})
    unlabelled.save_to_disk(tmp_path / "unlabelled")
    assert message_of(load_task, "rte", tmp_path / "unlabelled").startswith(
        f"{tmp_path}/unlabelled (train), row 1 has the label '-1', expected one of entailment, not_entailment"
    )


def test_a_saved_folder_that_is_not_whole(tmp_path: Path, message_of: Callable[..., str]) -> None:
    as_on_the_hub("rte").save_to_disk(tmp_path)
    for file in (tmp_path / "train").glob("*.arrow"):
        file.write_bytes(b"not arrow")
    assert message_of(load_task, "rte", tmp_path).startswith(f"{tmp_path} cannot be loaded as a saved data set (")
    (tmp_path / "dataset_dict.json").write_text("{")
    assert message_of(load_task, "rte", tmp_path).startswith(f"{tmp_path} cannot be loaded as a saved data set (")


def environment(endpoint: str, home: Path, **more: str) -> dict[str, str]:
    return {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": ":".join(sys.path), **more}


@pytest.mark.slow
def test_the_hub_gives_what_the_tsv_files_give_and_so_does_its_cache(tmp_path: Path) -> None:
    splits = as_on_the_hub("mnli")
    lines = ["---", "configs:", "- config_name: mnli", "  data_files:"]
    files = {}
    for split, data in splits.items():
        lines += [f"  - split: {split}", f"    path: mnli/{split}-*"]
        data.to_parquet(tmp_path / "parquet")
        files[f"mnli/{split}-00000-of-00001.parquet"] = (tmp_path / "parquet").read_bytes()
    files["README.md"] = "\n".join([*lines, "---", ""]).encode()
    write_tsv(tmp_path / "tsv", "mnli")
    code = (
        "from kselect.tasks import load_task, load_test;"
        f"tsv = {str(tmp_path / 'tsv')!r};"
        "assert load_task('mnli') == load_task('mnli', tsv);"
        "assert load_test('mnli') == load_test('mnli', tsv)"
    )
    with serve("nyu-mll/glue", files) as endpoint:
        subprocess.run([sys.executable, "-c", code], check=True, env=environment(endpoint, tmp_path))
    offline = environment(endpoint, tmp_path, HF_HUB_OFFLINE="1")
    subprocess.run([sys.executable, "-c", code], check=True, env=offline)


@pytest.mark.parametrize("offline", ["1", "0"])
def test_a_hub_that_cannot_be_reached_is_one_quick_line(offline: str, tmp_path: Path) -> None:
    # A name that resolves nowhere stands for the hub, so that this is the same on every machine.
    nowhere = environment("https://hub.invalid", tmp_path, HF_HUB_OFFLINE=offline)
    code = "from kselect.tasks import load_task; load_task('mrpc')"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=nowhere)
    assert time.monotonic() - started < 20
    *_, line = done.stderr.strip().splitlines()
    assert line.startswith(
        "kselect.errors.KselectError: No data folder for mrpc, and the hub's nyu-mll/glue is not available ("
    )
    assert line.endswith(
        "): give data_dir or set KSELECT_DATA to a folder in GLUE's TSV layout (MRPC/train.tsv and MRPC/dev.tsv) "
        "or one that datasets saved, or HF_HUB_OFFLINE=1 to read what was downloaded before."
    )


def test_predictions_without_the_test_file_say_which_it_is(tmp_path: Path, message_of: Callable[..., str]) -> None:
    write_tsv(tmp_path, "mrpc")
    (tmp_path / "MRPC" / "test.tsv").unlink()
    assert message_of(load_test, "mrpc", tmp_path) == (
        f"{tmp_path}/MRPC/test.tsv does not exist: put GLUE's test file there, or give custom texts as test_file."
    )
