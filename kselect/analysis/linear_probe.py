"""A linear probe of the untrained student: what it could predict before any distillation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kselect.analysis.predictions import Floats, Predictions
from kselect.distillation.facts.probe import classify


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
            log_q[half] = classify(train_states[other], train.labels[other], train.classes, train_states[half])
        return LinearProbe(log_q, classify(train_states, train.labels, train.classes, held_out_states))
