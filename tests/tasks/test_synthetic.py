from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from kselect.tasks import load_task
from kselect.tasks.synthetic import SYNTHETIC_TASKS

NAMES = tuple(SYNTHETIC_TASKS)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_balance(name: str) -> None:
    task = load_task(name)
    assert {part: Counter(split.labels) for part, split in task.splits.items()} == {
        "train": {0: 2700, 1: 2700},
        "reward": {0: 300, 1: 300},
        "dev": {0: 500, 1: 500},
    }
    assert task.constant_score()["score"] == {"matthews": 0.0, "accuracy": 0.5}[task.metrics[0]]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_occurs_twice(name: str) -> None:
    splits = load_task(name).splits.values()
    texts = [
        (split.text_a[row], None if split.text_b is None else split.text_b[row])
        for split in splits
        for row in range(len(split))
    ]
    assert len(set(texts)) == len(texts) == 7000


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_the_documented_share_of_train_alone(name: str) -> None:
    synthetic = SYNTHETIC_TASKS[name]
    train, dev = synthetic.generate(seed=5)
    # Before the flips labels alternate, in both splits.
    flipped = Counter(row % 2 for row, label in enumerate(train.labels) if label != row % 2)
    each = round(synthetic.noise * synthetic.train_size / 2)
    assert flipped == {0: each, 1: each}
    assert dev.labels == [row % 2 for row in range(synthetic.dev_size)]


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name: str) -> None:
    assert load_task(name, seed=1) == load_task(name, seed=1)
    assert load_task(name, seed=1).splits["dev"] != load_task(name, seed=2).splits["dev"]


def test_generation_does_not_depend_on_the_process() -> None:
    code = (
        "import hashlib, kselect.tasks as t;"
        f"print(*(hashlib.sha256(repr(t.load_task(n).splits).encode()).hexdigest() for n in {NAMES}))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_data_dir_is_not_read() -> None:
    assert load_task(NAMES[0], "nowhere") == load_task(NAMES[0])
