"""Knowledge in output distributions: the teacher's logits and the gold labels."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import kl_div, mse_loss

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule


class SoftenedDivergence(Knowledge):
    """Base class: `T² · D(p, q)` of the class distributions p (teacher) and q (student), softened at T, in nats.

    The factor T² keeps the size of the gradient independent of the temperature. For labelled words, a mean over words,
    each treated independently (token-level KD).
    """

    def __init__(self, temperature: Schedule | float = 2.0) -> None:
        """Compare at `temperature` > 0."""
        self.temperature = temperature if isinstance(temperature, Schedule) else Schedule(temperature, temperature)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        temperature, choices = self.temperature(batch.progress), student.answer.choices
        log_q, log_p = choices.log_probabilities(temperature), teacher.answer.choices.log_probabilities(temperature)
        return choices.mean(self.divergence(log_p, log_q)) * temperature**2

    @abstractmethod
    def divergence(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """Return the divergence at each position, `[B, U]`, of log-probabilities `[B, U, K]`."""


class Logits(SoftenedDivergence):
    """`T² · KL(p || q)` of the softened class distributions, in nats; in a regression, the squared distance.

    Source: Hinton et al. (2015); response knowledge, ResK (Wang et al., 2022).
    """

    name: ClassVar[str] = "logits"

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence, or the squared distance, of each example, `[B]`."""
        assert teacher is not None
        if student.answer.choices_of is None:
            return mse_loss(student.logits.float(), teacher.logits.float(), reduction="none").squeeze(-1)
        return super().loss(student, teacher, batch)

    def divergence(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """Return `KL(p || q)`, `[B, U]`."""
        return _kl(log_p, log_q)


class ReverseKl(SoftenedDivergence):
    """`T² · KL(q || p)`: the student is penalised where it is likely and the teacher is not, so it seeks a mode of p.

    Source: MiniLLM (Gu et al., 2024, arXiv 2306.08543, section 2.1), for distributions over classes.
    """

    name: ClassVar[str] = "reverse-kl"

    def divergence(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """Return `KL(q || p)`, `[B, U]`."""
        return _kl(log_q, log_p)


class JensenShannon(SoftenedDivergence):
    """`T² · (KL(p || m) + KL(q || m)) / 2` with the mixture m = (p + q) / 2: symmetric, and at most T² log 2.

    Source: Lin (1991), "Divergence measures based on the Shannon entropy", with equal weights; as a loss of
    distillation, generalised JSD at β = 1/2 (Agarwal et al., 2024, arXiv 2306.13649, eq. 1).
    """

    name: ClassVar[str] = "jsd"

    def divergence(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """Return the Jensen-Shannon divergence, `[B, U]`."""
        log_m = torch.logaddexp(log_p, log_q) - math.log(2)
        return (_kl(log_p, log_m) + _kl(log_q, log_m)) / 2


class LogitsMse(Knowledge):
    """Squared distance of logits, a mean over classes.

    Unlike a divergence, it depends on a constant added to all logits. In a regression it equals `logits`. For labelled
    words, a mean over words.

    Source: Ba and Caruana (2014), up to a factor.
    """

    name: ClassVar[str] = "logits-mse"
    scale: float | None = None

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        distance = mse_loss(student.logits.float(), teacher.logits.float(), reduction="none").mean(-1)
        return distance if student.word_mask is None else student.answer.choices.mean(distance)


class Gold(Knowledge):
    """Negative log-likelihood of the gold labels, in nats; the teacher is not read.

    Divided by the number of words in a sentence of labelled words; in a regression, the squared error.

    Source: fine-tuning knowledge, FinK (Wang et al., 2022).
    """

    name: ClassVar[str] = "gold"
    reads_labels = True
    teacher_needs = None

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return `-log q(y)`, or the squared error, of each example, `[B]`."""
        return student.answer.gold_loss(batch.labels)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return `KL(p || q)` over the last axis."""
    return kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
