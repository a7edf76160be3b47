"""Knowledge in output distributions: the teacher's logits and the gold labels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import kl_div, mse_loss

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule


class Logits(Knowledge):
    """`T² · KL(p || q)` of the softened class distributions, in nats.

    The factor T² keeps the size of the gradient independent of the temperature. In a regression, the squared distance.
    For labelled words, a mean over words, each treated independently (token-level KD).

    Source: Hinton et al. (2015); response knowledge, ResK (Wang et al., 2022).
    """

    name: ClassVar[str] = "logits"

    def __init__(self, temperature: Schedule | float = 2.0) -> None:
        """Compare at `temperature` > 0."""
        self.temperature = temperature if isinstance(temperature, Schedule) else Schedule(temperature, temperature)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        if student.answer.choices_of is None:
            return mse_loss(student.logits.float(), teacher.logits.float(), reduction="none").squeeze(-1)
        temperature, choices = self.temperature(batch.progress), student.answer.choices
        log_q, log_p = choices.log_probabilities(temperature), teacher.answer.choices.log_probabilities(temperature)
        return choices.mean(kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)) * temperature**2


class LogitsMse(Knowledge):
    """Squared distance of logits, a mean over classes.

    Unlike a divergence, it depends on a constant added to all logits. In a regression it equals `logits`. For labelled
    words, a mean over words.

    Source: Ba and Caruana (2014, eq. 1), up to a factor.
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
