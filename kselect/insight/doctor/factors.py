"""By how much a teacher would rescale the gradient of each example."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from kselect.insight.sample import Floats, Sample

MIDDLE = (0.05, 0.95)  # quantiles: near 1 - q = 0 a factor has no bounds


@dataclass(frozen=True)
class Factors:
    """Spread of the factors over places: their median, and the quantiles at 5 and 95 per cent."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """From the low quantile to the high one."""
        return self.high - self.low

    @staticmethod
    def of(values: Floats) -> Factors:
        """Take the quantiles of `values [N]`."""
        low, median, high = np.quantile(values, [MIDDLE[0], 0.5, MIDDLE[1]])
        return Factors(float(median), float(low), float(high))


def rescaling_factors(
    teacher: Sample, log_q: Floats, temperature: float = 1.0, gold: float = 0.5, logits: float = 0.5
) -> Floats:
    """Return the gradient of distillation over that of gold labels, in the score of the gold class, `[N]`.

    `w = a_gold + a_logits T (p~ - q~) / (1 - q)` for a loss of a_gold CE + a_logits T² KL, where p and q are teacher's
    and student's probabilities of the gold class, and those with a tilde are softened (after Tang et al. 2020, with
    the factor T²). At temperature 1 a teacher that is certain of every gold label has a_gold + a_logits
    throughout, whatever the student is: what varies then is the teacher's doing.

    Args:
        teacher: its scores.
        log_q: log-probabilities of a student, `[N, K]`.
        temperature: T.
        gold: a_gold, the weight of gold labels.
        logits: a_logits, that of the teacher's logits.
    """
    p_soft = np.exp(teacher.of_gold(teacher.log_probabilities(temperature)))
    q_soft = np.exp(teacher.of_gold(log_softmax(log_q / temperature, axis=1)))
    wrong = -np.expm1(teacher.of_gold(log_q))
    found: Floats = gold + logits * temperature * (p_soft - q_soft) / wrong
    return found
