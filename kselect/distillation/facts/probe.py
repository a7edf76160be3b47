"""Linear models of a student's hidden states: what labels alone teach a student that is not trained at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.distillation.evaluation import fixed_sample

Floats = NDArray[np.float64]

MAX_POSITIONS = 3000  # that a fit reads
STRENGTH = 0.01  # inverse of the penalty, which suits a few hundred examples of as many dimensions
PENALTIES = np.logspace(0, 4, 9)  # of a regression, among which leave-one-out validation chooses
FLOOR = 0.05  # share of its probabilities that is spread over all classes, as so quick a fit is overconfident


def classify(states: Floats, labels: NDArray[np.int64], classes: int, unseen: Floats) -> Floats:
    """Fit a logistic regression on standardised states, and return what it says of others.

    Args:
        states: Hidden states, `[N, D]`.
        labels: Their classes, `[N]`.
        classes: Number of classes, K; those missing from `labels` get the floor alone.
        unseen: Hidden states to classify, `[M, D]`.

    Returns:
        Log-probabilities, `[M, K]`.
    """
    from sklearn.linear_model import LogisticRegression

    states, labels = _sample(states, labels)
    q = np.zeros((len(unseen), classes))
    present = np.unique(labels)
    if len(present) == 1:
        q[:, present] = 1.0
    elif len(unseen):
        model = LogisticRegression(C=STRENGTH, max_iter=1000)
        q[:, present] = _standardised(model, states, labels).predict_proba(unseen)
    return np.asarray(np.log((1 - FLOOR) * q + FLOOR / classes))


def regress(states: Floats, scores: Floats, unseen: Floats) -> Floats:
    """Fit a ridge regression of `scores [N]` on standardised `states [N, D]`; returns scores of `unseen`, `[M]`."""
    from sklearn.linear_model import RidgeCV

    fitted = _standardised(RidgeCV(PENALTIES), *_sample(states, scores))
    return np.asarray(fitted.predict(unseen), dtype=np.float64)


def _sample(states: Floats, labels: NDArray[Any]) -> tuple[Floats, NDArray[Any]]:
    chosen = fixed_sample(len(labels), MAX_POSITIONS)
    return states[chosen], labels[chosen]


def _standardised(model: Any, states: Floats, labels: NDArray[Any]) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model).fit(states, labels)
