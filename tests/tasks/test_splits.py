from __future__ import annotations

import numpy as np
import pytest

from kselect.tasks import Split
from kselect.tasks.task import TextTask

PAIRS = Split(["a", "b", "c"], ["x", "y", "z"], [0, 1, 1])


def test_take_keeps_the_given_order() -> None:
    assert len(PAIRS) == 3
    assert PAIRS.take(np.array([2, 0])) == Split(["c", "a"], ["z", "x"], [1, 0])
    assert Split(["a", "b"], None, [0, 1]).take([1]) == Split(["b"], None, [1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scored_recognises_scores_of_any_precision(dtype: type[np.floating]) -> None:
    assert Split(["a", "b"], None, list(np.array([1.5, 2.5], dtype=dtype))).scored
    assert not Split(["a", "b"], None, list(np.array([1, 2]))).scored


@pytest.mark.parametrize("columns", [(["a"], None, [0, 1]), (["a"], ["x", "y"], [0])])
def test_columns_of_unequal_length_are_refused(columns: tuple) -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Split(*columns)


def test_constant_score_predicts_the_most_frequent_label_of_train() -> None:
    dev = Split(["d", "e", "f", "g"], None, [0, 0, 0, 1])
    task = TextTask(
        "toy",
        ("no", "yes"),
        {"train": Split(["a", "b", "c"], None, [0, 1, 1]), "dev": dev},
        ("accuracy", "f1"),
    )
    # Always 1: one of four right; precision 1/4, recall 1.
    assert task.constant_score() == pytest.approx({"accuracy": 0.25, "f1": 0.4, "score": 0.325})
    assert task.constant_score("train")["accuracy"] == pytest.approx(2 / 3)
    assert task.num_labels == 2
