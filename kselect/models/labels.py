"""The order of labels that a classifier's predictions imply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

CLEAR = 3.0
"""Standard errors by which another reading of predictions must fit better."""
SWAPPED = 0.05
"""Share of predictions from which another order is meant, rather than two rare classes taken for each other."""


@dataclass(frozen=True)
class Order:
    """The order of K labels in which predictions are right most often, and how often they are right in either order.

    Half of the examples choose the order, the others judge it.

    Attributes:
        meant: the label that each prediction means in that order, `[K]`.
        judged: number of predictions that judge.
        right: share of them that is right in the given order, in [0, 1].
        right_as_meant: share that is right in the other order.
        clear: whether the other order is meant: more predictions are right, by 3 standard errors (McNemar's test) and
            5 % of all. Gains within one example count as one, as the words of a sentence are not independent.
    """

    meant: tuple[int, ...]
    judged: int
    right: float
    right_as_meant: float
    clear: bool


def best_order(
    answers: NDArray[np.int64], gold: NDArray[np.int64], labels: int, examples: NDArray[np.int64] | None = None
) -> Order:
    """Find the order of labels that fits predictions `[N]` best.

    Args:
        answers: predicted label ids, `[N]`.
        gold: label ids, `[N]`.
        labels: number of labels, K.
        examples: the example of each prediction, at least two of them, `[N]`; by default a different one each.
    """
    _, owner = np.unique(np.arange(len(answers)) if examples is None else examples, return_inverse=True)
    judges = owner % 2 == 1
    table = np.zeros((labels, labels))
    np.add.at(table, (answers[~judges], gold[~judges]), 1)
    _, best = linear_sum_assignment(table, maximize=True)
    here, there = answers[judges] == gold[judges], best[answers[judges]] == gold[judges]
    gains = np.bincount(owner[judges], weights=there.astype(float) - here)  # of each example, which are independent
    gained = gains.sum()
    clear = bool(gained > CLEAR * np.sqrt((gains**2).sum()) and gained >= SWAPPED * len(here))
    return Order(tuple(best.tolist()), len(here), float(here.mean()), float(there.mean()), clear)
