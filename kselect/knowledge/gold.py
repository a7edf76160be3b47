"""Gold labels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.models.outputs import ModelOutputs


class Gold(Knowledge):
    """Cross-entropy with the gold labels, in nats: FinK of Wang et al. (2022). The teacher is not read.

    In a regression the squared error.
    """

    name: ClassVar[str] = "gold"
    teacher_needs = None

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return `-log q(y)`, or the squared error, of each example, `[B]`."""
        logits = student.logits.float()
        if batch.regression:
            return mse_loss(logits.squeeze(-1), batch.labels, reduction="none")
        return cross_entropy(logits, batch.labels, reduction="none")
