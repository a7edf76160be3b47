"""Metrics of classification, each a number that is higher when predictions are better.

Every metric is defined for constant predictions, so that the trivial baseline always has a row in a table:
Matthews correlation of a constant is 0, and F1 without a predicted or a true positive is 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.errors import unknown

Labels = NDArray[np.int64]


def accuracy(predictions: Labels, labels: Labels) -> float:
    """Return the share of predictions that are right, in [0, 1]."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def f1(predictions: Labels, labels: Labels) -> float:
    """Return F1 of class 1, the harmonic mean of precision and recall, in [0, 1]; 0 without a hit."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, labels=[1], average="macro", zero_division=0.0))


def matthews(predictions: Labels, labels: Labels) -> float:
    """Return Matthews correlation in [-1, 1]; 0 where either side is constant."""
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        # scikit-learn remarks on a single class; 0 is the value wanted there.
        warnings.filterwarnings("ignore", message="A single label was found")
        return float(matthews_corrcoef(labels, predictions))


METRICS: dict[str, Callable[[Labels, Labels], float]] = {"accuracy": accuracy, "f1": f1, "matthews": matthews}


def score(metrics: Sequence[str], predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Return each named metric and, as "score", their plain mean (GLUE's convention).

    Raises `UserError` for an unknown metric, `ValueError` where the sides differ in length or are empty.
    """
    predicted, gold = np.asarray(predictions, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    if predicted.shape != gold.shape or gold.ndim != 1 or gold.size == 0:
        raise ValueError(f"Predictions have shape {predicted.shape} and labels {gold.shape}: give one [n] each, n > 0.")
    for name in metrics:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    values = {name: METRICS[name](predicted, gold) for name in metrics}
    return {**values, "score": sum(values.values()) / len(values)}
