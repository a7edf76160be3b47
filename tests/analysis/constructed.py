"""Predictions of constructed teachers, each with one known fault."""

from __future__ import annotations

import numpy as np

from kselect.analysis.predictions import Predictions

CLASSES = 6
SIZE = 600


def random_predictions(seed: int = 0, size: int = 200, classes: int = 5, scale: float = 2.0) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions.of(scale * rng.standard_normal((size, classes)), rng.integers(0, classes, size))


def labels_of(seed: int, classes: int = CLASSES, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, size)


def sound(seed: int, classes: int = CLASSES, size: int = SIZE) -> Predictions:
    """Correct on most, calibrated, and with more probability for the next class, which is like the gold one."""
    rng = np.random.default_rng(seed)
    labels = labels_of(seed, classes, size)
    truth = np.eye(classes)[labels]
    alike = np.eye(classes)[(labels + 1) % classes]
    logits = 4.0 * truth + (2.5 * alike if classes > 2 else 0.0) + 1.3 * rng.standard_normal((size, classes))
    return Predictions.of(logits, labels)


def calibrated(seed: int, size: int) -> Predictions:
    """Two classes with frequencies of 70 and 30 %; accuracy and confidence are 85 %."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(size) > 0.7).astype(int)
    answers = np.where(rng.random(size) < 0.85, labels, 1 - labels)
    return Predictions.of_probabilities(0.7 * np.eye(2)[answers] + 0.15, labels)


def label_smoothed(seed: int, alpha: float = 0.1) -> Predictions:
    """Accuracy of 80 %, constant confidence, and uniform probability of wrong classes."""
    rng = np.random.default_rng(seed)
    labels = labels_of(seed)
    answers = np.where(rng.random(SIZE) < 0.8, labels, (labels + rng.integers(1, CLASSES, SIZE)) % CLASSES)
    return Predictions.of_probabilities((1 - alpha) * np.eye(CLASSES)[answers] + alpha / CLASSES, labels)


def over_confident(seed: int, held: bool) -> Predictions:
    """Memorised train, and is as certain held out, where its accuracy is 75 %."""
    rng = np.random.default_rng(seed)
    labels = labels_of(seed)
    wrong = rng.random(SIZE) < (0.25 if held else 0.0)
    answers = np.where(wrong, (labels + rng.integers(1, CLASSES, SIZE)) % CLASSES, labels)
    logits = 12.0 * np.eye(CLASSES)[answers] + rng.standard_normal((SIZE, CLASSES))
    return Predictions.of(logits, labels)


def worse_than_constant(seed: int) -> Predictions:
    """Random predictions, where four of five labels are the same."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(SIZE) < 0.2).astype(int)
    return Predictions.of(rng.standard_normal((SIZE, 2)), labels)


def no_better_than_constant(seed: int) -> Predictions:
    """Predicts class frequencies plus a little noise."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(SIZE) < 0.3).astype(int)
    noise = 0.1 * rng.standard_normal(SIZE)
    return Predictions.of(np.stack([np.full(SIZE, np.log(0.7 / 0.3)), noise], axis=1), labels)


def permuted(seed: int) -> Predictions:
    """A sound teacher whose classes are shifted by one."""
    found = sound(seed)
    return Predictions.of(np.roll(found.logits, 1, axis=1), found.labels)
