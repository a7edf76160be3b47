"""Information in targets against plain sums, and where parts of it are known to be 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kselect.analysis.calibration import best_temperature
from kselect.analysis.predictions import Predictions
from kselect.analysis.target_information import TargetInformation, TopK, target_information, top_k_losses
from kselect.knowledge.target_levels import TopK as TopKKnowledge
from kselect.schedule import Schedule
from tests.analysis.constructed import random_predictions


def drawn(positions: int = 40, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    predictions = random_predictions(seed, positions, classes)
    return predictions.probabilities, predictions.labels


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    return sum(one * math.log(one / other) for one, other in zip(p, q, strict=True) if one > 0)


def test_target_information_is_that_of_plain_sums() -> None:
    p, labels = drawn()
    found, rows, gold = target_information(p, labels), p, labels.tolist()
    right = [row[label] for row, label in zip(rows, gold, strict=True)]
    mean = float(np.mean(right))
    wrong = [np.delete(row, label) for row, label in zip(rows, gold, strict=True)]
    by_class = {label: [w for w, other in zip(wrong, gold, strict=True) if other == label] for label in set(gold)}
    typical = {label: np.sum(members, axis=0) / np.sum(members) for label, members in by_class.items()}
    parts = {
        "instance": [divergence(np.array([c, 1 - c]), np.array([mean, 1 - mean])) for c in right],
        # In the mean over the positions of a class, w may replace the typical one before the logarithm.
        "domain": [w.sum() * divergence(typical[t], np.full(4, 0.25)) for w, t in zip(wrong, gold, strict=True)],
        "rest": [w.sum() * divergence(w / w.sum(), typical[t]) for w, t in zip(wrong, gold, strict=True)],
    }
    for name, values in parts.items():
        assert getattr(found, name) == pytest.approx(float(np.mean(values))), name
    smoothed = [np.where(np.arange(5) == t, mean, (1 - mean) / 4) for t in gold]
    whole = np.mean([divergence(row, other) for row, other in zip(rows, smoothed, strict=True)])
    assert found.total == pytest.approx(float(whole))
    assert (found.confidence, found.spread) == (pytest.approx(mean), pytest.approx(float(np.std(right))))
    assert found.accuracy == np.mean(rows.argmax(-1) == gold)
    assert sum(found.shares.values()) == pytest.approx(1)


def smoothing(positions: int, classes: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(positions) % classes
    return (1 - alpha) * np.eye(classes)[labels] + alpha / classes, labels


def nothing(found: TargetInformation, *parts: str) -> bool:
    return all(getattr(found, part) == pytest.approx(0, abs=1e-12) for part in parts)


def test_target_information_of_label_smoothing_is_zero() -> None:
    assert nothing(target_information(*smoothing(30, 5, 0.3)), "instance", "domain", "rest", "spread")


def test_target_information_of_gold_labels_is_zero() -> None:
    found = target_information(*smoothing(30, 5, 0.0))
    assert nothing(found, "total")
    assert (found.certainty, found.shares) == (1.0, {})


def test_target_information_of_two_classes_is_instance_alone() -> None:
    found = target_information(*drawn(classes=2))
    assert nothing(found, "domain", "rest")
    assert found.instance > 0.01


def test_target_information_of_rows_given_by_the_gold_class_is_domain_alone() -> None:
    alike = np.array([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]])
    labels = np.arange(30) % 3
    found = target_information(alike[labels], labels)
    assert nothing(found, "instance", "rest")
    # Of the wrong 0.4, a quarter and three quarters, against a half each.
    expected = 0.3 * math.log(1.5) + 0.1 * math.log(0.5)
    assert found.domain == pytest.approx(expected)


def test_target_information_of_varying_confidence_is_instance_alone() -> None:
    labels = np.arange(4)
    right = np.array([0.9, 0.5, 0.9, 0.5])[:, None]
    gold = np.eye(4)
    found = target_information(gold * right + (1 - gold) * (1 - right) / 3, labels)
    assert nothing(found, "domain", "rest")
    expected = 0.5 * sum(divergence(np.array([c, 1 - c]), np.array([0.7, 0.3])) for c in (0.9, 0.5))
    assert found.instance == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_top_k_losses_are_those_of_the_targets_of_kd_top_k(temperature: float) -> None:
    sample = random_predictions(size=40)
    p = torch.tensor(np.exp(sample.log_probabilities(temperature)))[:, None]
    labels = torch.tensor(sample.labels)[:, None]
    losses = top_k_losses(sample, temperature)
    for k in range(1, sample.classes + 1):
        knowledge = TopKKnowledge(round(k / sample.classes, 4), Schedule(1.0, 1.0))
        target = knowledge.target(p, labels, torch.ones_like(p, dtype=torch.bool))
        expected = -target.gather(-1, labels[..., None]).log().flatten().numpy()
        np.testing.assert_allclose(losses[k - 1], expected, rtol=1e-9)


def test_top_k_leaves_out_probabilities_of_noise() -> None:
    """Where the tail says wrong things, one probability is best; where it is right, all are."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 2000)
    sure = rng.random(2000) < 0.7
    answers = np.where(sure, labels, (labels + rng.integers(1, 8, 2000)) % 8)
    tail = 3.0 * rng.standard_normal((2000, 8))
    tail[np.arange(2000), answers] = tail.max(1) + 2.0
    noisy = TopK.of(Predictions.of(tail, labels), best_temperature(Predictions.of(tail, labels)).value)
    assert noisy is not None
    assert noisy.k == 1
    assert noisy.gain.low > 0
    p = rng.dirichlet(np.full(8, 0.4), 2000)
    true = np.array([rng.choice(8, p=row) for row in p])
    kept = TopK.of(Predictions.of_probabilities(p, true))
    assert kept is not None
    assert kept.k > 3


def test_top_k_of_one_example_is_all_classes() -> None:
    sample = random_predictions(classes=4, size=9)
    kept = TopK.of(Predictions.of(sample.logits, sample.labels, np.zeros(9)))
    assert kept is not None
    assert kept.k == kept.classes


def test_top_k_of_two_classes_is_none() -> None:
    assert TopK.of(random_predictions(classes=2)) is None
