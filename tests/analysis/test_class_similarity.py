from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kselect.analysis.class_similarity import ERASED, ClassRelations
from kselect.analysis.predictions import Predictions

RANDOM = np.random.default_rng(0)


def relations(*sample: Any, temperature: float = 1.0, shares: Any = None) -> ClassRelations:
    found = ClassRelations.of(Predictions.of(*sample), temperature, shares)
    assert found is not None
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_class_relations_are_those_of_a_loop(temperature: float) -> None:
    logits, labels = RANDOM.normal(size=(30, 5)), RANDOM.integers(5, size=30)
    alike = RANDOM.uniform(0.1, 1, size=(5, 5)) * (1 - np.eye(5))
    alike /= alike.sum(1, keepdims=True)
    strengths, masses, whole, left = [], [], 0.0, 0.0
    for row, label in zip(logits, labels, strict=True):
        others = [k for k in range(5) if k != label]
        plain, soft = np.exp(row), np.exp(row / temperature)
        if row.argmax() == label:
            shares = plain[others] / plain[others].sum()
            strengths.append(sum(w * math.log(4 * w) for w in shares) / math.log(4))
        mass, shares = soft[others].sum() / soft.sum(), soft[others] / soft[others].sum()
        masses.append(mass)
        whole += mass * sum(w * math.log(4 * w) for w in shares)
        left += mass * sum(w * math.log(w / a) for w, a in zip(shares, alike[label][others], strict=True))
    found = relations(logits, labels, temperature=temperature, shares=alike)
    assert found.strength == pytest.approx(np.median(strengths))
    assert found.non_target_mass == pytest.approx(np.mean(masses))
    assert found.explained_by_similarity == pytest.approx(1 - left / whole)


def test_class_relations_are_explained_by_their_own_shares_and_not_by_uniform_ones() -> None:
    labels = np.arange(40) % 4
    shares = np.array([[0, 6, 3, 1], [6, 0, 1, 3], [3, 1, 0, 6], [1, 3, 6, 0]]) / 10
    logits = np.log(np.where(np.eye(4) > 0, 0.8, 0.2 * shares))[labels]
    assert relations(logits, labels, shares=shares).explained_by_similarity == pytest.approx(1)
    assert relations(logits, labels, shares=(1 - np.eye(4)) / 3).explained_by_similarity == pytest.approx(0)
    mistaken = shares[:, ::-1] * (1 - np.eye(4)) + 0.01
    mistaken /= mistaken.sum(1, keepdims=True)
    explained = relations(logits, labels, shares=mistaken).explained_by_similarity
    assert explained is not None
    assert explained < 0
    assert relations(logits, labels).explained_by_similarity is None


@pytest.mark.parametrize("classes", [3, 6, 17])
@pytest.mark.parametrize("errors", [0.0, 0.05, 0.1, 0.3])
def test_class_relations_strength_shows_a_smoothed_teacher(classes: int, errors: float) -> None:
    """Where the prediction is wrong, one wrong class has nearly all the probability under any teacher."""
    count = 400
    labels = RANDOM.integers(classes, size=count)
    wrong = RANDOM.random(count) < errors
    answers = np.where(wrong, (labels + RANDOM.integers(1, classes, size=count)) % classes, labels)
    target = 0.9 * np.eye(classes)[answers] + 0.1 / classes
    logits = np.log(target) + 0.1 * RANDOM.normal(size=target.shape)
    assert relations(logits, labels).strength < ERASED
    assert relations(3 * RANDOM.normal(size=target.shape) + 9 * np.eye(classes)[answers], labels).strength > 3 * ERASED


def test_class_relations_of_two_classes_are_none() -> None:
    assert ClassRelations.of(Predictions.of(np.zeros((3, 2)), [0, 1, 0])) is None
    assert relations(-np.eye(3), [0, 1, 2]).strength == 0
