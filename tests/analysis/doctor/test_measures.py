"""Calibration, certainty, class relations, factors and top-k against brute force and known answers, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kselect.analysis.class_similarity import ClassRelations
from kselect.analysis.doctor.calibration import Certainty, best_temperature, calibration_error, oversureness, shares
from kselect.analysis.doctor.diagnosis import Factors, TopK, rescaling_factors, top_k_losses
from kselect.analysis.predictions import Sample
from kselect.knowledge.target_levels import TopK as TopKKnowledge
from kselect.schedule import Schedule
from kselect.stats import ClusteredEstimate as Estimate
from tests.analysis.doctor.constructed import CLASSES, SIZE, calibrated, over_confident, sound


def random_sample(seed: int = 0, size: int = 200, classes: int = 5, scale: float = 2.0) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample.of(scale * rng.standard_normal((size, classes)), rng.integers(0, classes, size))


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
    sample = random_sample()
    expected = brute_calibration_error(sample.confidence, sample.right, bins)
    assert calibration_error(sample.confidence, sample.right, bins) == pytest.approx(expected, abs=1e-12)


def test_the_upper_end_of_a_bin_is_its_own() -> None:
    confidence, right = np.array([0.25, 0.5, 0.5, 1.0, 0.0]), np.array([True, False, True, True, False])
    expected = brute_calibration_error(confidence, right, 4)
    assert calibration_error(confidence, right, 4) == pytest.approx(expected, abs=1e-15)


def test_known_calibration_errors() -> None:
    right = np.arange(100) < 50
    assert calibration_error(np.full(100, 0.5), right) == pytest.approx(0)
    assert calibration_error(np.full(100, 0.9), right) == pytest.approx(0.4)
    assert calibration_error(np.full(100, 0.9), right, adaptive=True) == pytest.approx(
        # each part has one confidence, but is all right or all wrong, except the one in the middle
        sum(abs(part.sum()) for part in np.array_split(right - 0.9, 15)) / 100
    )


def test_parts_of_one_size_are_those_of_the_order_of_confidence() -> None:
    sample = random_sample(size=60)
    order = sorted(range(60), key=lambda i: sample.confidence[i])
    expected = 0.0
    for m in range(15):
        part = order[4 * m : 4 * m + 4]
        gap = np.mean([sample.right[i] for i in part]) - np.mean([sample.confidence[i] for i in part])
        expected += 4 / 60 * abs(gap)
    assert calibration_error(sample.confidence, sample.right, adaptive=True) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("accuracy", "margin"), [(0.8, 4.0), (0.6, 1.0), (0.9, 1.5)])
def test_the_best_temperature_of_one_margin_makes_it_as_sure_as_it_is_right(accuracy: float, margin: float) -> None:
    right = np.arange(100) < 100 * accuracy
    sample = Sample.of(np.stack([np.full(100, margin), np.zeros(100)], axis=1), (~right).astype(int))
    best = best_temperature(sample)
    assert best.value == pytest.approx(margin / math.log(accuracy / (1 - accuracy)), rel=1e-4)
    assert best.loss_after == pytest.approx(-(accuracy * np.log(accuracy) + (1 - accuracy) * np.log(1 - accuracy)))
    assert not best.bounded


def test_the_best_temperature_is_that_of_a_fine_grid() -> None:
    sample = sound(0)
    hot = Sample.of(3.0 * sample.logits, sample.labels)
    grid = np.geomspace(0.05, 20, 4001)
    losses = [hot.losses(temperature).mean() for temperature in grid]
    best = best_temperature(hot)
    assert best.value == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)
    assert best.loss_after <= min(losses) + 1e-12
    assert best.loss_before == pytest.approx(hot.losses().mean())


def test_without_a_best_temperature_the_end_of_the_range_is_told() -> None:
    nothing_wrong = Sample.of(np.eye(3), [0, 1, 2])
    assert best_temperature(nothing_wrong).bounded
    assert best_temperature(nothing_wrong).value < 1
    nothing_right = Sample.of(np.eye(3), [1, 2, 0])
    assert best_temperature(nothing_right).bounded
    assert best_temperature(nothing_right).value > 1


@pytest.mark.parametrize("gap", [5, 10, 60, 80, 120, 1e4])
def test_where_the_loss_is_flat_at_zero_the_coldest_temperature_is_told(gap: float) -> None:
    best = best_temperature(Sample.of(gap * np.eye(3), [0, 1, 2]))
    assert best.bounded
    assert best.value == pytest.approx(0.05)
    assert best.loss_after == pytest.approx(0, abs=1e-12)


def test_oversureness_is_how_fast_the_loss_falls_with_the_temperature() -> None:
    sample, step = random_sample(), 1e-5
    slope = (sample.losses(math.exp(-step)) - sample.losses(math.exp(step))) / (2 * step)
    found = oversureness(sample)
    assert found.value == pytest.approx(slope.mean(), rel=1e-6)
    assert found.error == pytest.approx(slope.std(ddof=1) / math.sqrt(len(sample)), rel=1e-6)
    hot = Sample.of(2.0 * calibrated(0, 2000).logits, calibrated(0, 2000).labels)
    assert oversureness(hot).above_zero
    assert oversureness(Sample.of(0.25 * hot.logits, hot.labels)).below_zero


def test_below_a_limit_is_so_by_more_than_chance() -> None:
    assert Estimate(0.01, 0.0045, 10).margin == pytest.approx(2.2622 * 0.0045, rel=1e-4)  # of the table of Student's t
    assert Estimate(0.01, 0.004, 10).below(0.02)
    assert not Estimate(0.01, 0.0045, 10).below(0.02)
    assert Estimate(0.01, 0.0045, 100).below(0.02)


@pytest.mark.parametrize("words", [1, 25])
@pytest.mark.parametrize("count", [5, 10, 300])
def test_a_mean_of_so_many_examples_is_told_apart_from_the_true_one_once_in_twenty_times(
    count: int, words: int
) -> None:
    rng, draws = np.random.default_rng(0), 1000
    values = rng.standard_normal((draws, count, 1)) + 0.3 * rng.standard_normal((draws, count, words))
    owner = np.repeat(np.arange(count), words)
    found = [Estimate.of(one.flatten(), owner) for one in values]
    missed = np.array([[one.above_zero, one.below_zero] for one in found]).mean(0)
    assert missed.sum() == pytest.approx(0.05, abs=0.02)
    assert missed == pytest.approx([0.025, 0.025], abs=0.015)


def test_nothing_is_decided_by_one_example_or_where_nothing_varies() -> None:
    one = Estimate.of(np.array([1.0, 2.0, 3.0]), np.zeros(3, dtype=int), bound=3.0)
    assert math.isnan(one.error)
    alike = Estimate.of(np.full(30, 0.1), np.arange(30))
    for nothing in (one, alike):
        assert not nothing.above_zero
        assert not nothing.below(1e9)


@pytest.mark.parametrize("count", [10, 300])
def test_shares_that_are_alike_bound_what_examples_that_were_not_seen_may_change(count: int) -> None:
    alike = Estimate.of(np.zeros(count), np.arange(count), bound=1.0)
    assert (1 - alike.margin) ** count == pytest.approx(0.025)
    assert alike.below(0.02) == (count == 300)
    assert Estimate.of(np.ones(count), np.arange(count), bound=1.0).above_zero


def test_confidence_and_entropy_of_known_distributions() -> None:
    p = np.array([[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    sample = Sample.of_probabilities(p, [0, 0, 1])
    np.testing.assert_allclose(sample.entropy, [1, 0, 1.5 * math.log(2) / math.log(3)], atol=1e-12)
    np.testing.assert_allclose(sample.confidence, [1 / 3, 1, 0.5])
    certainty = Certainty.of(sample)
    assert certainty.gold_probability == pytest.approx((1 / 3 + 1 + 0.25) / 3)
    assert certainty.loss == pytest.approx((math.log(3) + math.log(4)) / 3)
    assert certainty.accuracy.value == pytest.approx(2 / 3)


def test_shares_of_a_histogram() -> None:
    assert shares(np.array([0.0, 0.05, 0.1, 0.95, 1.0]), 10) == (0.4, 0.2, 0, 0, 0, 0, 0, 0, 0, 0.4)


def test_the_error_of_a_mean_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    alone = Estimate.of(values, np.arange(50))
    assert alone.value == pytest.approx(values.mean())
    assert alone.error == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_what_is_said_twice_of_an_example_counts_once() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    twice = Estimate.of(np.repeat(values, 2), np.repeat(np.arange(50), 2))
    alone = Estimate.of(values, np.arange(50))
    assert (twice.value, twice.error) == pytest.approx((alone.value, alone.error))


def test_two_classes_have_none() -> None:
    assert ClassRelations.of(random_sample(classes=2)) is None
    assert TopK.of(random_sample(classes=2)) is None


@pytest.mark.parametrize(("temperature", "gold", "logits"), [(1.0, 0.5, 0.5), (3.0, 0.2, 0.8)])
def test_factors_are_ratios_of_gradients(temperature: float, gold: float, logits: float) -> None:
    teacher, student = random_sample(0, 20), random_sample(1, 20)
    z = torch.tensor(student.logits, requires_grad=True)
    labels = torch.tensor(teacher.labels)
    plain = torch.nn.functional.cross_entropy(z, labels, reduction="sum")
    p = torch.softmax(torch.tensor(teacher.logits) / temperature, -1)
    log_q = torch.log_softmax(z / temperature, -1)
    divergence = (p * (p.log() - log_q)).sum() * temperature**2
    (of_plain,) = torch.autograd.grad(plain, z, retain_graph=True)
    (of_both,) = torch.autograd.grad(gold * plain + logits * divergence, z)
    expected = (of_both / of_plain).gather(1, labels[:, None])[:, 0].numpy()
    found = rescaling_factors(teacher, student.log_probabilities(), temperature, gold, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_teacher_that_is_certain_rescales_nothing() -> None:
    teacher = over_confident(0, held=False)
    factors = Factors.of(rescaling_factors(teacher, random_sample(3, SIZE, CLASSES).log_probabilities()))
    assert factors.low == pytest.approx(1, abs=0.02)
    assert factors.high == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_top_k_losses_are_those_of_the_knowledges_targets(temperature: float) -> None:
    sample = random_sample(size=40)
    p = torch.tensor(np.exp(sample.log_probabilities(temperature)))[:, None]
    labels = torch.tensor(sample.labels)[:, None]
    losses = top_k_losses(sample, temperature)
    for k in range(1, sample.classes + 1):
        knowledge = TopKKnowledge(round(k / sample.classes, 4), Schedule(1.0, 1.0))
        target = knowledge.target(p, labels, torch.ones_like(p, dtype=torch.bool))
        expected = -target.gather(-1, labels[..., None]).log().flatten().numpy()
        np.testing.assert_allclose(losses[k - 1], expected, rtol=1e-9)


def test_probabilities_of_pure_noise_behind_the_first_are_not_kept() -> None:
    """Where the tail says wrong things, one probability is best; where it is right, all are."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 2000)
    sure = rng.random(2000) < 0.7
    answers = np.where(sure, labels, (labels + rng.integers(1, 8, 2000)) % 8)
    tail = 3.0 * rng.standard_normal((2000, 8))
    tail[np.arange(2000), answers] = tail.max(1) + 2.0
    noisy = TopK.of(Sample.of(tail, labels), best_temperature(Sample.of(tail, labels)).value)
    assert noisy is not None
    assert noisy.k == 1
    assert noisy.gain.above_zero
    p = rng.dirichlet(np.full(8, 0.4), 2000)
    true = np.array([rng.choice(8, p=row) for row in p])
    kept = TopK.of(Sample.of_probabilities(p, true))
    assert kept is not None
    assert kept.k > 3


def test_of_one_example_all_probabilities_are_kept() -> None:
    sample = random_sample(classes=4, size=9)
    kept = TopK.of(Sample.of(sample.logits, sample.labels, np.zeros(9)))
    assert kept is not None
    assert kept.all_kept


@pytest.mark.parametrize("shape", [((3,), (3,)), ((3, 1), (3,)), ((3, 2), (2,)), ((0, 2), (0,))])
def test_shapes_that_do_not_go_together_are_refused(shape: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="K >= 2"):
        Sample.of(np.zeros(shape[0]), np.zeros(shape[1], dtype=int))
