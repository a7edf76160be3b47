"""The teacher's logits, as numbers."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import mse_loss

from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.models.outputs import ModelOutputs


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
