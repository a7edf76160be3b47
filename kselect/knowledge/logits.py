"""The teacher's logits."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import kl_div, mse_loss

from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
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
