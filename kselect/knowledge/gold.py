"""Gold labels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from kselect.knowledge.base import Knowledge
from kselect.models.outputs import ModelOutputs


class Gold(Knowledge):
    """Cross-entropy with the gold labels, in nats: FinK of Wang et al. (2022). The teacher is not read."""

    name: ClassVar[str] = "gold"
    teacher_needs = None

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, labels: Tensor) -> Tensor:
        """Return `-log q(y)` of each example, `[B]`."""
        return cross_entropy(student.logits.float(), labels, reduction="none")
