"""A linear probe of the untrained student: what it could predict before any distillation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.predictions import Floats, Predictions
from kselect.distillation.evaluation import fixed_sample

MAX_POSITIONS = 3000  # that a fit reads
STRENGTH = 0.01  # inverse of the penalty, which suits a few hundred examples of as many dimensions
FLOOR = 0.05  # share of its probabilities that is spread over all classes, as so quick a fit is overconfident


@dataclass(frozen=True)
class LinearProbe:
    """Log-probabilities of a linear classifier on the untrained student's states.

    Attributes:
        train: On the teacher's sample of train, `[N, K]`, each from a fit without its example.
        held_out: On held-out examples, `[M, K]`.
    """

    train: Floats
    held_out: Floats

    @staticmethod
    def of(train_states: Floats, train: Predictions, held_out_states: Floats) -> LinearProbe:
        """Fit logistic regressions on standardised states, on one half of the train examples for the other.

        Args:
            train_states: States at the positions of `train`, `[N, D]`.
            train: Gives the labels and the examples of the positions.
            held_out_states: States that are classified, `[M, D]`.
        """
        _, owner = np.unique(train.examples, return_inverse=True)
        log_q = np.empty_like(train.logits)
        for half in (owner % 2 == 0, owner % 2 == 1):
            other = ~half if (~half).any() else half
            log_q[half] = _fit_predict(train_states[other], train.labels[other], train.classes, train_states[half])
        return LinearProbe(log_q, _fit_predict(train_states, train.labels, train.classes, held_out_states))


def _fit_predict(states: Floats, labels: NDArray[np.int64], classes: int, unseen: Floats) -> Floats:
    """Return log-probabilities `[M, K]` for `unseen [M, D]`; classes missing from `labels [N]` get the floor alone."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = fixed_sample(len(labels), MAX_POSITIONS)
    states, labels = states[chosen], labels[chosen]
    q = np.zeros((len(unseen), classes))
    present = np.unique(labels)
    if len(present) == 1:
        q[:, present] = 1.0
    elif len(unseen):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000)).fit(states, labels)
        q[:, present] = model.predict_proba(unseen)
    return np.asarray(np.log((1 - FLOOR) * q + FLOOR / classes))
