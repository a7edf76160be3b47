"""Calibration against brute force and known answers, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kselect.analysis.calibration import (
    CalibrationSummary,
    best_temperature,
    histogram,
    overconfidence_slope,
)
from kselect.analysis.predictions import Predictions
from kselect.distillation.calibration import calibration_error
from tests.analysis.constructed import calibrated, random_predictions, sound


def brute_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    total = 0.0
    for m in range(bins):
        inside = [i for i, c in enumerate(confidence) if m / bins < c <= (m + 1) / bins or (m == 0 and c == 0)]
        if inside:
            accuracy = sum(right[i] for i in inside) / len(inside)
            mean = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return total


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_calibration_error_is_that_of_the_bins_one_by_one(bins: int) -> None:
    sample = random_predictions()
    expected = brute_calibration_error(sample.confidence, sample.correct, bins)
    assert calibration_error(sample.confidence, sample.correct, bins) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_includes_the_upper_end_of_a_bin() -> None:
    confidence, right = np.array([0.25, 0.5, 0.5, 1.0, 0.0]), np.array([True, False, True, True, False])
    expected = brute_calibration_error(confidence, right, 4)
    assert calibration_error(confidence, right, 4) == pytest.approx(expected, abs=1e-15)


def test_calibration_error_of_known_cases() -> None:
    right = np.arange(100) < 50
    assert calibration_error(np.full(100, 0.5), right) == pytest.approx(0)
    assert calibration_error(np.full(100, 0.9), right) == pytest.approx(0.4)
    assert calibration_error(np.full(100, 0.9), right, adaptive=True) == pytest.approx(
        # each part has one confidence, but is all right or all wrong, except the one in the middle
        sum(abs(part.sum()) for part in np.array_split(right - 0.9, 15)) / 100
    )


def test_calibration_error_adaptive_bins_follow_the_order_of_confidence() -> None:
    sample = random_predictions(size=60)
    order = sorted(range(60), key=lambda i: sample.confidence[i])
    expected = 0.0
    for m in range(15):
        part = order[4 * m : 4 * m + 4]
        gap = np.mean([sample.correct[i] for i in part]) - np.mean([sample.confidence[i] for i in part])
        expected += 4 / 60 * abs(gap)
    assert calibration_error(sample.confidence, sample.correct, adaptive=True) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("accuracy", "margin"), [(0.8, 4.0), (0.6, 1.0), (0.9, 1.5)])
def test_best_temperature_of_one_margin_makes_confidence_equal_accuracy(accuracy: float, margin: float) -> None:
    right = np.arange(100) < 100 * accuracy
    sample = Predictions.of(np.stack([np.full(100, margin), np.zeros(100)], axis=1), (~right).astype(int))
    best = best_temperature(sample)
    assert best.value == pytest.approx(margin / math.log(accuracy / (1 - accuracy)), rel=1e-4)
    assert best.loss_after == pytest.approx(-(accuracy * np.log(accuracy) + (1 - accuracy) * np.log(1 - accuracy)))
    assert not best.bounded


def test_best_temperature_is_that_of_a_fine_grid() -> None:
    sample = sound(0)
    hot = Predictions.of(3.0 * sample.logits, sample.labels)
    grid = np.geomspace(0.05, 20, 4001)
    losses = [hot.losses(temperature).mean() for temperature in grid]
    best = best_temperature(hot)
    assert best.value == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)
    assert best.loss_after <= min(losses) + 1e-12
    assert best.loss_before == pytest.approx(hot.losses().mean())


def test_best_temperature_is_bounded_where_there_is_none() -> None:
    nothing_wrong = Predictions.of(np.eye(3), [0, 1, 2])
    assert best_temperature(nothing_wrong).bounded
    assert best_temperature(nothing_wrong).value < 1
    nothing_right = Predictions.of(np.eye(3), [1, 2, 0])
    assert best_temperature(nothing_right).bounded
    assert best_temperature(nothing_right).value > 1


@pytest.mark.parametrize("gap", [5, 10, 60, 80, 120, 1e4])
def test_best_temperature_is_the_lowest_where_the_loss_is_flat_at_zero(gap: float) -> None:
    best = best_temperature(Predictions.of(gap * np.eye(3), [0, 1, 2]))
    assert best.bounded
    assert best.value == pytest.approx(0.05)
    assert best.loss_after == pytest.approx(0, abs=1e-12)


def test_overconfidence_slope_is_the_derivative_of_the_loss() -> None:
    sample, step = random_predictions(), 1e-5
    slope = (sample.losses(math.exp(-step)) - sample.losses(math.exp(step))) / (2 * step)
    found = overconfidence_slope(sample)
    assert found.mean == pytest.approx(slope.mean(), rel=1e-6)
    assert found.se == pytest.approx(slope.std(ddof=1) / math.sqrt(len(sample)), rel=1e-6)
    hot = Predictions.of(2.0 * calibrated(0, 2000).logits, calibrated(0, 2000).labels)
    assert overconfidence_slope(hot).low > 0
    assert overconfidence_slope(Predictions.of(0.25 * hot.logits, hot.labels)).high < 0


def test_calibration_summary_of_known_distributions() -> None:
    p = np.array([[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    sample = Predictions.of_probabilities(p, [0, 0, 1])
    np.testing.assert_allclose(sample.entropy, [1, 0, 1.5 * math.log(2) / math.log(3)], atol=1e-12)
    np.testing.assert_allclose(sample.confidence, [1 / 3, 1, 0.5])
    summary = CalibrationSummary.of(sample)
    assert summary.gold_probability == pytest.approx((1 / 3 + 1 + 0.25) / 3)
    assert summary.loss == pytest.approx((math.log(3) + math.log(4)) / 3)
    assert summary.accuracy.mean == pytest.approx(2 / 3)


def test_histogram_shares() -> None:
    assert histogram(np.array([0.0, 0.05, 0.1, 0.95, 1.0]), 10) == (0.4, 0.2, 0, 0, 0, 0, 0, 0, 0, 0.4)
