"""What each example contributes to a score: values whose mean is the score, and whose standard error is its own.

Two models' contributions on the same examples can be subtracted, which gives the paired standard error of the
difference between their scores. Contributions to a mean are its terms; those to any other score are the score plus the
influence of each example on it, by the jackknife (leaving one example out) or in the limit of a small weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.tasks.metrics import REGRESSION, score
from kselect.tasks.multi_label import left_out

Floats = NDArray[np.float64]


def score_contributions(metrics: Sequence[str], predictions: ArrayLike, labels: ArrayLike) -> Floats:
    """Return what each of n texts contributes to the mean of some metrics, `[n]`.

    Args:
        metrics: names of `kselect.tasks.metrics`, all for classes or all for scores.
        predictions: label ids or scores, `[n]`, or of several labels a text 0 and 1, `[n, K]`.
        labels: likewise, `[n]`.
    """
    predicted, gold = np.asarray(predictions), np.asarray(labels)
    exact = score(metrics, predicted, gold)
    if gold.ndim == 2:
        parts = [left_out(name, predicted, gold) for name in metrics]
    elif metrics[0] in REGRESSION:
        parts = [INFLUENCES[name](predicted.astype(np.float64), gold.astype(np.float64)) for name in metrics]
    else:
        parts = _left_out(metrics, predicted, gold)
    return np.mean([exact[name] + influence for name, influence in zip(metrics, parts, strict=True)], axis=0)


def ratio_contributions(numerators: ArrayLike, denominators: ArrayLike) -> Floats:
    """Return what each of n sentences contributes to a ratio of sums, `[n]`; to 0 where the denominators are all 0."""
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if not below.any():
        return np.zeros(len(below))
    ratio = above.sum() / below.sum()
    return ratio + (above - ratio * below) / below.mean()


class _Counts(NamedTuple):
    """How many examples of each of k classes there are, in each of m samples.

    Attributes:
        hits: predicted and labelled as it, `[m, k]`.
        gold: labelled as it, `[m, k]`.
        predicted: predicted as it, `[m, k]`.
    """

    hits: Floats
    gold: Floats
    predicted: Floats


def _left_out(metrics: Sequence[str], predicted: NDArray[np.generic], gold: NDArray[np.generic]) -> list[Floats]:
    """Return each example's influence on metrics of classes, `[n]`, by the jackknife.

    These metrics read counts of labels, predictions and hits only, so it is enough to leave out one example of each
    pair of label and prediction.
    """
    classes, codes = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
    n, k = len(gold), len(classes)
    pairs, of_example, sizes = np.unique(codes[:n] * k + codes[n:], return_inverse=True, return_counts=True)
    labels, answers = np.divmod(pairs, k)
    right = labels == answers
    whole = (
        np.bincount(labels, weights=sizes * right, minlength=k),
        np.bincount(labels, weights=sizes, minlength=k),
        np.bincount(answers, weights=sizes, minlength=k),
    )
    counts = _Counts(*(np.tile(np.asarray(each, dtype=np.float64), (len(pairs), 1)) for each in whole))
    every = np.arange(len(pairs))
    counts.hits[every, labels] -= right
    counts.gold[every, labels] -= 1
    counts.predicted[every, answers] -= 1
    positive = classes == 1
    found = []
    for name in metrics:
        without = _COUNTED[name](counts, positive)
        mean = float(sizes @ without) / n
        found.append(((n - 1) * (mean - without))[of_example])
    return found


def _accuracy(counts: _Counts, positive: NDArray[np.bool_]) -> Floats:
    return _ratio(counts.hits.sum(1), counts.gold.sum(1))


def _f1(counts: _Counts, positive: NDArray[np.bool_]) -> Floats:
    return _class_f1(counts)[:, positive].sum(1)


def _macro_f1(counts: _Counts, positive: NDArray[np.bool_]) -> Floats:
    there = (counts.gold + counts.predicted) > 0
    return _ratio(_class_f1(counts).sum(1), there.sum(1))


def _matthews(counts: _Counts, positive: NDArray[np.bool_]) -> Floats:
    gold, predicted, n = counts.gold, counts.predicted, counts.gold.sum(1)
    covariance = counts.hits.sum(1) * n - (gold * predicted).sum(1)
    return _ratio(covariance, np.sqrt((n**2 - (gold**2).sum(1)) * (n**2 - (predicted**2).sum(1))))


def _class_f1(counts: _Counts) -> Floats:
    return _ratio(2 * counts.hits, counts.gold + counts.predicted)


def _ratio(above: Floats, below: Floats | NDArray[np.int64]) -> Floats:
    """Return a ratio, 0 where the denominator is, as scikit-learn's metrics have it."""
    return np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0)


_COUNTED: dict[str, Callable[[_Counts, NDArray[np.bool_]], Floats]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "matthews": _matthews,
}
"""Metrics of classes from counts; of the k classes the `positive` one is F1's, `[k]`."""


def _pearson(predicted: Floats, gold: Floats) -> Floats:
    x, y = predicted - predicted.mean(), gold - gold.mean()
    return _correlation(x * y, x * x, y * y)


def _spearman(predicted: Floats, gold: Floats) -> Floats:
    """Return influences on Pearson's correlation of ranks, which themselves depend on every example.

    Croux and Dehon (2010) give them for continuous distributions; here ties share their middle rank.
    """
    u, v = _Ranks(predicted), _Ranks(gold)

    def moment(first: _Ranks, second: _Ranks) -> Floats:
        """Return how each example moves the mean product of centred ranks, plus that mean."""
        product = first.values * second.values
        shifts = first.mean_above(second.values) + second.mean_above(first.values)
        return product + shifts - 2 * product.mean()

    return _correlation(moment(u, v), moment(u, u), moment(v, v))


class _Ranks:
    """Centred middle ranks of n values as shares of n, and means over the values above each."""

    def __init__(self, values: Floats) -> None:
        _, self._inverse, sizes = np.unique(values, return_inverse=True, return_counts=True)
        self.values: Floats = ((np.cumsum(sizes) - sizes / 2) / len(values) - 0.5)[self._inverse]

    def mean_above(self, others: Floats) -> Floats:
        """Return the sum of `others [n]`, centred, over examples above each, half of its ties included, over n."""
        sums = np.bincount(self._inverse, weights=others)
        return (sums.sum() - np.cumsum(sums) + sums / 2)[self._inverse] / len(others)


def _correlation(products: Floats, first: Floats, second: Floats) -> Floats:
    """Return influences on a correlation from those on a covariance and two variances, whose values are the means."""
    covariance, a, b = products.mean(), first.mean(), second.mean()
    if a <= 0 or b <= 0:
        return np.zeros(len(products))
    influence = (products - covariance) / np.sqrt(a * b)
    influence -= covariance / np.sqrt(a * b) / 2 * ((first - a) / a + (second - b) / b)
    return np.asarray(influence - influence.mean())


INFLUENCES: dict[str, Callable[[Floats, Floats], Floats]] = {"pearson": _pearson, "spearman": _spearman}
