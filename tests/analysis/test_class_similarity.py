from __future__ import annotations

import math

import numpy as np
import pytest

from kselect.analysis.class_similarity import ERASED, ClassRelations
from kselect.analysis.predictions import Sample

RANDOM = np.random.default_rng(0)


def relations(*sample: object, temperature: float = 1.0, shares: object = None) -> ClassRelations:
    found = ClassRelations.of(Sample.of(*sample), temperature, shares)
    assert found is not None
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_they_are_those_of_a_loop(temperature: float) -> None:
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
    assert found.mass == pytest.approx(np.mean(masses))
    assert found.told_by_similarities == pytest.approx(1 - left / whole)


def test_similarities_that_are_the_shares_tell_all_uniform_ones_nothing_and_wrong_ones_less() -> None:
    labels = np.arange(40) % 4
    shares = np.array([[0, 6, 3, 1], [6, 0, 1, 3], [3, 1, 0, 6], [1, 3, 6, 0]]) / 10
    logits = np.log(np.where(np.eye(4) > 0, 0.8, 0.2 * shares))[labels]
    assert relations(logits, labels, shares=shares).told_by_similarities == pytest.approx(1)
    assert relations(logits, labels, shares=(1 - np.eye(4)) / 3).told_by_similarities == pytest.approx(0)
    mistaken = shares[:, ::-1] * (1 - np.eye(4)) + 0.01
    mistaken /= mistaken.sum(1, keepdims=True)
    assert relations(logits, labels, shares=mistaken).told_by_similarities < 0
    assert relations(logits, labels).told_by_similarities is None


@pytest.mark.parametrize("classes", [3, 6, 17])
@pytest.mark.parametrize("errors", [0.0, 0.05, 0.1, 0.3])
def test_a_smoothed_teacher_is_told_by_what_it_answers_right(classes: int, errors: float) -> None:
    """Where its answer is wrong one wrong class has nearly all there is, however it was trained."""
    count = 400
    labels = RANDOM.integers(classes, size=count)
    wrong = RANDOM.random(count) < errors
    answers = np.where(wrong, (labels + RANDOM.integers(1, classes, size=count)) % classes, labels)
    target = 0.9 * np.eye(classes)[answers] + 0.1 / classes
    logits = np.log(target) + 0.1 * RANDOM.normal(size=target.shape)
    assert relations(logits, labels).strength < ERASED
    assert relations(3 * RANDOM.normal(size=target.shape) + 9 * np.eye(classes)[answers], labels).strength > 3 * ERASED


def test_two_classes_have_none_and_a_teacher_that_is_always_wrong_has_some() -> None:
    assert ClassRelations.of(Sample.of(np.zeros((3, 2)), [0, 1, 0])) is None
    assert relations(-np.eye(3), [0, 1, 2]).strength == 0
