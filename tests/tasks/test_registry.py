from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks import TASKS, load_task


def test_names() -> None:
    synthetic, glue = TASKS[:3], TASKS[3:]
    assert synthetic == ("synthetic-acceptability", "synthetic-entailment", "synthetic-topics")
    assert glue == ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")


@pytest.mark.parametrize("name", ["rte", "RTE", "R-t-E"])
def test_case_and_hyphens_do_not_matter(name: str, rte_folder: Path) -> None:
    assert load_task(name, rte_folder).name == "rte"


def test_unknown_task(message_of: Callable[..., str]) -> None:
    assert message_of(load_task, "mprc") == (f"Unknown task 'mprc': did you mean 'mrpc'? Known: {', '.join(TASKS)}.")


def test_glue_spellings_are_found(message_of: Callable[..., str], tmp_path: Path) -> None:
    for name, folder in (("SST-2", "SST-2"), ("CoLA", "CoLA"), ("STS-B", "STS-B"), ("MNLI", "MNLI")):
        assert f"has no folder {folder} or" in message_of(load_task, name, tmp_path)


def test_splits_follow_the_seed(rte_folder: Path) -> None:
    first, again, other = (load_task("rte", rte_folder, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.splits["reward"] != other.splits["reward"]
    assert first.splits["dev"] == other.splits["dev"]
    assert sorted(first.splits["train"].text_a + first.splits["reward"].text_a) == sorted(
        other.splits["train"].text_a + other.splits["reward"].text_a
    )


def test_reward_is_removed_from_train(rte_folder: Path) -> None:
    task = load_task("rte", rte_folder, reward_fraction=0.25)
    train, reward = task.splits["train"], task.splits["reward"]
    assert (len(train), len(reward)) == (30, 10)
    assert not set(train.text_a) & set(reward.text_a)


def test_load_task_limits_train_and_dev_and_leaves_the_reward_split(rte_folder: Path) -> None:
    task = load_task("rte", rte_folder, train_limit=20, reward_fraction=0.2)
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 20, "reward": 8, "dev": 8}
    assert task.splits["train"].labels.count(0) == 5
    assert task.splits["reward"].labels.count(0) == 2
    assert task.splits["reward"] == load_task("rte", rte_folder, reward_fraction=0.2).splits["reward"]
    assert len(load_task("rte", rte_folder, train_limit=4, reward_fraction=0.5).splits["dev"]) == 4


def test_a_limit_below_one_is_refused(rte_folder: Path, message_of: Callable[..., str]) -> None:
    assert message_of(load_task, "rte", rte_folder, train_limit=0) == (
        "train_limit is 0: give a positive number of examples."
    )


def test_importing_loads_no_heavy_library() -> None:
    heavy = ("torch", "transformers", "sklearn", "scipy", "datasets", "pandas", "pyarrow")
    code = f"import sys, kselect.tasks; print(*(name for name in {heavy} if name in sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""
