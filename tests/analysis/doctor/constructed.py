"""Teachers that are made, not trained: probabilities given directly, each with one thing wrong with it."""

from __future__ import annotations

import numpy as np

from kselect.analysis.predictions import Sample

CLASSES = 6
SIZE = 600


def labels_of(seed: int, classes: int = CLASSES, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, size)


def sound(seed: int, classes: int = CLASSES, size: int = SIZE) -> Sample:
    """Right on most; gives the next class, which is like the gold one, more than the others; as sure as it is right."""
    rng = np.random.default_rng(seed)
    labels = labels_of(seed, classes, size)
    truth = np.eye(classes)[labels]
    alike = np.eye(classes)[(labels + 1) % classes]
    logits = 4.0 * truth + (2.5 * alike if classes > 2 else 0.0) + 1.3 * rng.standard_normal((size, classes))
    return Sample.of(logits, labels)


def calibrated(seed: int, size: int) -> Sample:
    """Right on 85 % of two classes, of which one has 70 %, and always that sure."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(size) > 0.7).astype(int)
    answers = np.where(rng.random(size) < 0.85, labels, 1 - labels)
    return Sample.of_probabilities(0.7 * np.eye(2)[answers] + 0.15, labels)


def label_smoothed(seed: int, alpha: float = 0.1) -> Sample:
    """Right on four of five, and always as sure: all wrong classes are alike to it."""
    rng = np.random.default_rng(seed)
    labels = labels_of(seed)
    answers = np.where(rng.random(SIZE) < 0.8, labels, (labels + rng.integers(1, CLASSES, SIZE)) % CLASSES)
    return Sample.of_probabilities((1 - alpha) * np.eye(CLASSES)[answers] + alpha / CLASSES, labels)


def over_confident(seed: int, held: bool) -> Sample:
    """Knows train by heart, and is as sure of the rest, where it is right on three of four."""
    rng = np.random.default_rng(seed)
    labels = labels_of(seed)
    wrong = rng.random(SIZE) < (0.25 if held else 0.0)
    answers = np.where(wrong, (labels + rng.integers(1, CLASSES, SIZE)) % CLASSES, labels)
    logits = 12.0 * np.eye(CLASSES)[answers] + rng.standard_normal((SIZE, CLASSES))
    return Sample.of(logits, labels)


def worse_than_constant(seed: int) -> Sample:
    """Guesses, where four of five labels are the same."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(SIZE) < 0.2).astype(int)
    return Sample.of(rng.standard_normal((SIZE, 2)), labels)


def no_better_than_constant(seed: int) -> Sample:
    """Answers the most frequent label with its frequency, and a little noise that means nothing."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(SIZE) < 0.3).astype(int)
    noise = 0.1 * rng.standard_normal(SIZE)
    return Sample.of(np.stack([np.full(SIZE, np.log(0.7 / 0.3)), noise], axis=1), labels)


def permuted(seed: int) -> Sample:
    """A sound teacher whose classes stand one place further on."""
    found = sound(seed)
    return Sample.of(np.roll(found.logits, 1, axis=1), found.labels)
