"""The teacher's logits."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import kl_div, mse_loss

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule


class Logits(Knowledge):
    """`T² · KL(p || q)` of the softened class distributions, in nats (Hinton et al., 2015; ResK of Wang et al., 2022).

    The factor T² keeps the gradient's size independent of the temperature. In a regression the squared distance. Of
    words, the mean over them, each by itself (token KD).
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
    """Squared distance of logits, a mean over classes (Ba and Caruana, 2014, eq. 1, up to its factor).

    Unlike a divergence it minds what all logits have in common. In a regression it is what `logits` is. Of words, the
    mean over them.
    """

    name: ClassVar[str] = "logits-mse"
    scale: float | None = None

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        distance = mse_loss(student.logits.float(), teacher.logits.float(), reduction="none").mean(-1)
        return distance if student.word_mask is None else student.answer.choices.mean(distance)


class Gold(Knowledge):
    """Negative log-likelihood of the gold labels, in nats: FinK of Wang et al. (2022). The teacher is not read.

    For a sentence of n words n-th of it; in a regression the squared error.
    """

    name: ClassVar[str] = "gold"
    reads_labels = True
    teacher_needs = None

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return `-log q(y)`, or the squared error, of each example, `[B]`."""
        return student.answer.gold_loss(batch.labels)
