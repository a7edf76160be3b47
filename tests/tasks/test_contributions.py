from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kselect.tasks.contributions import ratio_contributions, score_contributions
from kselect.tasks.metrics import CLASSIFICATION, METRICS, REGRESSION
from kselect.tasks.words.metrics import span_scores
from kselect.tasks.words.schemes import read_spans


def left_out(metric: Callable[[Any, Any], float], predicted: NDArray[Any], gold: NDArray[Any]) -> NDArray[np.float64]:
    """The jackknife by its definition: the metric plus n - 1 times what leaving out an example takes away."""
    n = len(gold)
    without = np.array([metric(np.delete(predicted, i), np.delete(gold, i)) for i in range(n)])
    return metric(predicted, gold) + (n - 1) * (without.mean() - without)


def classes(seed: int, n: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    gold = rng.integers(k, size=n)
    return np.where(rng.random(n) < 0.6, gold, rng.integers(k, size=n)), gold


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("name", sorted(CLASSIFICATION))
def test_metrics_of_classes_are_jackknifed_exactly(name: str, k: int) -> None:
    for seed in range(3):
        predicted, gold = classes(seed, 40, k)
        found = score_contributions([name], predicted, gold)
        np.testing.assert_allclose(found, left_out(METRICS[name], predicted, gold), atol=1e-10)
        assert found.mean() == pytest.approx(METRICS[name](predicted, gold), abs=1e-12)


def test_many_classes_take_little_memory() -> None:
    predicted, gold = classes(0, 4000, 150)
    tracemalloc.start()
    score_contributions(["accuracy", "macro_f1", "matthews"], predicted, gold)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**27  # a table of labels by predictions for each pair of them would take 300 MiB or more


def test_contributions_to_accuracy_are_the_hits() -> None:
    predicted, gold = classes(0, 50, 3)
    np.testing.assert_allclose(score_contributions(["accuracy"], predicted, gold), predicted == gold, atol=1e-12)


@pytest.mark.parametrize("name", sorted(REGRESSION))
@pytest.mark.parametrize("ties", [False, True])
def test_correlations_have_the_errors_of_the_jackknife(name: str, ties: bool) -> None:
    rng = np.random.default_rng(0)
    gold = rng.random(300) * 5
    predicted = gold + rng.normal(size=300)
    if ties:
        gold = np.round(gold)
    found = score_contributions([name], predicted, gold)
    expected = left_out(METRICS[name], predicted, gold)
    assert found.mean() == pytest.approx(METRICS[name](predicted, gold), abs=1e-12)
    assert np.corrcoef(found, expected)[0, 1] > 0.999
    assert found.std() == pytest.approx(expected.std(), rel=0.02)


@pytest.mark.parametrize("name", sorted({**CLASSIFICATION, **REGRESSION}))
def test_a_constant_prediction_has_contributions_too(name: str) -> None:
    gold = np.array([0, 1, 1, 0, 1]) if name in CLASSIFICATION else np.arange(5.0)
    found = score_contributions([name], np.ones_like(gold), gold)
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(METRICS[name](np.ones_like(gold), gold))


def test_a_score_of_two_metrics_is_their_mean() -> None:
    predicted, gold = classes(1, 60, 2)
    parts = [score_contributions([name], predicted, gold) for name in ("accuracy", "f1")]
    np.testing.assert_allclose(score_contributions(["accuracy", "f1"], predicted, gold), np.mean(parts, axis=0))


def test_the_error_is_that_of_drawing_other_examples() -> None:
    draws = [classes(seed, 400, 2) for seed in range(300)]
    values = [METRICS["matthews"](*draw) for draw in draws]
    errors = [score_contributions(["matthews"], *draw).std(ddof=1) / 20 for draw in draws]
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.1)


def test_ratios_of_sums() -> None:
    above, below = np.array([1.0, 3, 0, 2]), np.array([2.0, 3, 1, 4])
    found = ratio_contributions(above, below)
    assert found.mean() == pytest.approx(6 / 10)
    np.testing.assert_allclose(ratio_contributions(above, np.full(4, 4.0)), above / 4)
    assert ratio_contributions([0, 0], [0, 0]).tolist() == [0, 0]


def test_f1_over_spans_is_a_ratio_of_sums() -> None:
    gold = [("B-x", "I-x", "O"), ("O", "B-y", "B-x"), ("O", "O", "O")]
    predicted = [("B-x", "I-x", "B-y"), ("B-y", "B-y", "O"), ("O", "O", "B-x")]
    spans = [(set(read_spans(p)), set(read_spans(g))) for p, g in zip(predicted, gold, strict=True)]
    found = ratio_contributions([2 * len(p & g) for p, g in spans], [len(p) + len(g) for p, g in spans])
    assert found.mean() == pytest.approx(span_scores(predicted, gold, "iob2")["f1"])
