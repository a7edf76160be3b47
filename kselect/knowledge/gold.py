"""Gold labels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.models.outputs import ModelOutputs


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
