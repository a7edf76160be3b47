"""Metrics of classification and regression, each a number that is higher when predictions are better.

Every metric is defined for constant predictions, so that the trivial baseline always has a row in a table:
Matthews, Pearson and Spearman correlation of a constant are 0, and F1 without a predicted or a true positive is 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.errors import KselectError, unknown

Labels = NDArray[Any]
"""Label ids, or scores in a regression, `[n]`."""


def accuracy(predictions: Labels, labels: Labels) -> float:
    """Return the share of predictions that are right, in [0, 1]."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def f1(predictions: Labels, labels: Labels) -> float:
    """Return F1 of class 1, the harmonic mean of precision and recall, in [0, 1]; 0 without a hit."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, labels=[1], average="macro", zero_division=0.0))


def macro_f1(predictions: Labels, labels: Labels) -> float:
    """Return the plain mean of every class's F1, in [0, 1]; classes are those that occur on either side."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", zero_division=0.0))


def micro_f1(predictions: Labels, labels: Labels) -> float:
    """Return F1 of all labels of all texts together, in [0, 1]; of several labels a text, `[n, K]` of 0 and 1."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="micro", zero_division=0.0))


def matthews(predictions: Labels, labels: Labels) -> float:
    """Return Matthews correlation in [-1, 1]; 0 where either side is constant."""
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        # scikit-learn remarks on a single class; 0 is the value wanted there.
        warnings.filterwarnings("ignore", message="A single label was found")
        return float(matthews_corrcoef(labels, predictions))


def pearson(predictions: Labels, labels: Labels) -> float:
    """Return Pearson's correlation in [-1, 1]; 0 where either side is constant."""
    from scipy.stats import pearsonr

    return 0.0 if _constant(predictions, labels) else float(pearsonr(predictions, labels).statistic)


def spearman(predictions: Labels, labels: Labels) -> float:
    """Return Spearman's rank correlation in [-1, 1], ties at their mean rank; 0 where either side is constant."""
    from scipy.stats import spearmanr

    return 0.0 if _constant(predictions, labels) else float(spearmanr(predictions, labels).statistic)


def _constant(*sides: Labels) -> bool:
    return any(np.ptp(side) == 0 for side in sides)


CLASSIFICATION: dict[str, Callable[[Labels, Labels], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
}
REGRESSION: dict[str, Callable[[Labels, Labels], float]] = {"pearson": pearson, "spearman": spearman}
MULTI_LABEL: dict[str, Callable[[Labels, Labels], float]] = {"micro_f1": micro_f1, "macro_f1": macro_f1}
METRICS = {**CLASSIFICATION, **REGRESSION, **MULTI_LABEL}


def score(metrics: Sequence[str], predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Return each named metric and, as "score", their plain mean (GLUE's convention).

    Raises `KselectError` for an unknown metric, `ValueError` where the sides differ in length or are empty.
    """
    predicted, gold = np.asarray(predictions), np.asarray(labels)
    if predicted.shape != gold.shape or gold.ndim not in (1, 2) or gold.size == 0:
        raise ValueError(
            f"Predictions have shape {predicted.shape} and labels {gold.shape}: give one [n], or [n, K], each, n > 0."
        )
    for name in metrics:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    values = {name: METRICS[name](predicted, gold) for name in metrics}
    return {**values, "score": sum(values.values()) / len(values)}


def check_metrics(metrics: Sequence[str], classes: int, multi_label: bool = False) -> None:
    """Refuse metrics that are unknown, or that do not suit so many classes (0: scores), with a `KselectError`."""
    known = MULTI_LABEL if multi_label else CLASSIFICATION if classes else REGRESSION
    if not metrics:
        raise KselectError(f"metrics is empty: name at least one of {', '.join(known)}.")
    for name in metrics:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
        if name not in known:
            what = "several labels a text" if multi_label else "classes" if classes else "scores"
            raise KselectError(f"The metric {name} does not measure {what}: give some of {', '.join(known)}.")
        if name == "f1" and classes > 2:
            raise KselectError(
                f"The metric f1 is of the second of two classes, and there are {classes}: give macro_f1."
            )
