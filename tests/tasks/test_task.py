from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from kselect.tasks import Split, build_task


def split_of(labels: list[int] | list[float], name: str = "text") -> Split:
    return Split([f"{name} {i}" for i in range(len(labels))], None, labels)


def test_reward_is_held_out_and_dev_stays() -> None:
    dev = split_of([0, 1, 1], "dev")
    task = build_task("toy", ["no", "yes"], {"train": split_of([0, 0, 1, 1] * 10), "dev": dev}, ["accuracy"])
    assert task.splits["dev"] is dev
    assert Counter(task.splits["reward"].labels) == {0: 2, 1: 2}
    assert len(task.splits["train"]) == 36
    assert task.reported == {"dev": ""}


def test_further_splits_for_reporting() -> None:
    parts = {"train": split_of([0, 1] * 20), "dev": split_of([0, 1]), "dev_hard": split_of([1, 1, 1, 0])}
    task = build_task("toy", ["no", "yes"], parts, ["accuracy"], train_limit=2, reward_fraction=0.5)
    assert task.reported == {"dev": "", "dev_hard": "hard/"}
    assert {name: len(split) for name, split in task.splits.items()} == {
        "train": 2,
        "reward": 20,
        "dev": 2,
        "dev_hard": 2,
    }


def test_scores_are_spread_alike() -> None:
    scores = np.random.default_rng(0).beta(0.5, 2, 2000).tolist()
    task = build_task("toy", [], {"train": split_of(scores)}, ["pearson"], train_limit=1000)
    whole = np.quantile(scores, np.linspace(0, 1, 11))
    for name, size in {"train": 1000, "reward": 180, "dev": 200}.items():
        labels = task.splits[name].labels
        assert len(labels) == size
        assert np.abs(np.quantile(labels, np.linspace(0, 1, 11)) - whole)[1:-1].max() < 0.02


def test_metrics_that_do_not_suit(message_of: Callable[..., str]) -> None:
    def refusal(metrics: list[str], labels: list[str]) -> str:
        return message_of(build_task, "toy", labels, {"train": split_of([0, 1] * 9)}, metrics)

    assert refusal(["accuracy"], []) == "The metric accuracy does not measure scores: give some of pearson, spearman."
    assert refusal([], ["a", "b"]).startswith("metrics is empty: name at least one of accuracy,")
    assert refusal(["f1"], ["a", "b", "c"]) == (
        "The metric f1 is of the second of two classes, and there are 3: give macro_f1."
    )


def test_what_leaves_nothing_to_learn(message_of: Callable[..., str]) -> None:
    def refusal(labels: list[str], gold: list[int] | list[float], **settings: int) -> str:
        metrics = ["accuracy"] if labels else ["pearson"]
        return message_of(build_task, "toy", labels, {"train": split_of(gold)}, metrics, **settings)

    assert refusal(["a", "b"], [0]) == (
        "A dev split of 1 out of 1 training examples leaves none to train on: give more examples."
    )
    assert refusal(["a", "b"], [0, 1]) == (
        "A reward split of 1 out of 1 training examples leaves none to train on: "
        "give more examples or a smaller reward_fraction."
    )
    assert refusal([], [3.5] * 40) == "Every score of train is 3.5: give examples whose scores differ."


def test_has_one_label_of_a_split_of_one_class() -> None:
    parts = {"train": split_of([0, 1] * 20), "dev": split_of([1, 1, 1], "dev"), "dev_hard": split_of([1, 0], "hard")}
    task = build_task("toy", ["no", "yes"], parts, ["accuracy"])
    assert task.has_one_label("dev")
    assert not task.has_one_label("dev_hard")
