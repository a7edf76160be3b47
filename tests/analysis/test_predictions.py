"""Predictions and their means, with errors over examples of several positions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kselect.analysis.predictions import Predictions


def with_owners(examples: np.ndarray) -> Predictions:
    return Predictions.of(np.zeros((len(examples), 2)), np.zeros(len(examples), dtype=int), examples)


def clustered_error(values: np.ndarray, examples: np.ndarray) -> float:
    """Standard error of a ratio of sums over examples, by a loop."""
    mean, groups = values.mean(), np.unique(examples)
    deviations = [(values[examples == group] - mean).sum() for group in groups]
    return math.sqrt(len(groups) / (len(groups) - 1) * sum(d * d for d in deviations)) / len(values)


def test_predictions_mean_of_one_position_per_example_is_the_textbook_mean() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    result = with_owners(np.arange(50)).mean(values)
    assert result.mean == pytest.approx(values.mean())
    assert result.se == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_predictions_mean_counts_an_example_once() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    twice = with_owners(np.repeat(np.arange(50), 2)).mean(np.repeat(values, 2))
    once = with_owners(np.arange(50)).mean(values)
    assert (twice.mean, twice.se, twice.count) == (pytest.approx(once.mean), pytest.approx(once.se), 50)


def test_predictions_mean_has_the_error_of_a_ratio_of_sums() -> None:
    rng = np.random.default_rng(1)
    examples = rng.integers(0, 20, 200)  # of unequal lengths
    values = rng.standard_normal(200) + rng.standard_normal(20)[examples]
    result = with_owners(examples).mean(values)
    assert result.mean == pytest.approx(values.mean())
    assert result.se == pytest.approx(clustered_error(values, examples))


@pytest.mark.parametrize("words", [1, 25])
@pytest.mark.parametrize("count", [5, 10, 300])
def test_predictions_mean_excludes_the_true_mean_once_in_twenty_times(count: int, words: int) -> None:
    rng, draws = np.random.default_rng(0), 1000
    values = rng.standard_normal((draws, count, 1)) + 0.3 * rng.standard_normal((draws, count, words))
    predictions = with_owners(np.repeat(np.arange(count), words))
    results = [predictions.mean(draw.flatten()) for draw in values]
    missed = np.array([[result.low > 0, result.high < 0] for result in results]).mean(0)
    assert missed.sum() == pytest.approx(0.05, abs=0.02)
    assert missed == pytest.approx([0.025, 0.025], abs=0.015)


def test_predictions_mean_of_one_example_or_of_equal_values_is_not_significant() -> None:
    single = with_owners(np.zeros(3, dtype=int)).mean(np.array([1.0, 2.0, 3.0]))
    assert math.isnan(single.se)
    equal = with_owners(np.arange(30)).mean(np.full(30, 0.1))
    assert not single.is_significant
    assert not equal.is_significant


@pytest.mark.parametrize("shape", [((3,), (3,)), ((3, 1), (3,)), ((3, 2), (2,)), ((0, 2), (0,))])
def test_predictions_of_shapes_that_do_not_match_are_refused(shape: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="K >= 2"):
        Predictions.of(np.zeros(shape[0]), np.zeros(shape[1], dtype=int))
