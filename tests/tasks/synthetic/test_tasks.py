from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from kselect.tasks import load_task
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS

NAMES = tuple(SYNTHETIC_TASKS)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_balance(name: str) -> None:
    task, classes = load_task(name), len(SYNTHETIC_TASKS[name].labels)
    counts = {part: Counter(split.labels) for part, split in task.splits.items()}
    assert {part: count.total() for part, count in counts.items()} == {"train": 5400, "reward": 600, "dev": 1000}
    if classes == 2:  # as many are flipped from one to the other as back
        assert [counts[part] for part in ("train", "reward")] == [{0: 2700, 1: 2700}, {0: 300, 1: 300}]
    assert set(counts["dev"].values()) == {1000 // classes, -(-1000 // classes)}
    constant = {"matthews": [0.0], "accuracy": [count / 1000 for count in counts["dev"].values()]}
    assert task.constant_score()["score"] in constant[task.metrics[0]]


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
    # Before the flips labels take turns, in both splits.
    classes = len(synthetic.labels)
    flipped = Counter(row % classes for row, label in enumerate(train.labels) if label != row % classes)
    each = round(synthetic.noise * synthetic.train_size / classes)
    assert flipped == dict.fromkeys(range(classes), each)
    assert set(train.labels) == set(range(classes))
    assert dev.labels == [row % classes for row in range(synthetic.dev_size)]


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
