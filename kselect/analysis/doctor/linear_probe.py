"""What a student could say before any training: a linear classifier on its states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.predictions import Floats, Sample
from kselect.distillation.evaluation import fixed_sample

MOST = 3000  # places that a fit reads; sentences have more of them than it needs
STRENGTH = 0.01  # of the fit, over that of the penalty; hundreds of examples have as many dimensions
FLOOR = 0.05  # share of its probabilities that is spread over all classes: a fit this quick is never sure


@dataclass(frozen=True)
class Probe:
    """Log-probabilities of a linear classifier on the untrained student's states, each from a fit without its example.

    train: on the teacher's sample of train, `[N, K]`. held: on held-out examples, `[M, K]`.
    """

    train: Floats
    held: Floats

    @staticmethod
    def of(train_states: Floats, train: Sample, held_states: Floats) -> Probe:
        """Fit it on states `[N, D]` of train, one half of the examples for the other, and read `[M, D]` of the others.

        Logistic regression on standardised states (scikit-learn's), with a penalty that suits a few hundred examples.
        """
        _, owner = np.unique(train.examples, return_inverse=True)
        found = np.empty_like(train.logits)
        for half in (owner % 2 == 0, owner % 2 == 1):
            other = ~half if (~half).any() else half
            found[half] = _fitted(train_states[other], train.labels[other], train.classes, train_states[half])
        return Probe(found, _fitted(train_states, train.labels, train.classes, held_states))


def _fitted(states: Floats, labels: NDArray[np.int64], classes: int, asked: Floats) -> Floats:
    """Return log-probabilities `[M, K]` for `asked [M, D]`; classes that `labels [N]` lack share the floor alone."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = fixed_sample(len(labels), MOST)
    states, labels = states[chosen], labels[chosen]
    q = np.zeros((len(asked), classes))
    present = np.unique(labels)
    if len(present) == 1:
        q[:, present] = 1.0
    elif len(asked):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000)).fit(states, labels)
        q[:, present] = model.predict_proba(asked)
    return np.log((1 - FLOOR) * q + FLOOR / classes)
