"""What may look on at a student's training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads import Answer


@dataclass(frozen=True)
class TrainingPart:
    """A batch of a training step, or a part of one where gradients are accumulated, before its backward pass.

    step: the training step, counted from 1. indices: which training examples, `[B]`, on the host. knowledge: what is
    selected, k kinds. losses: of each example in each of them, `[B, k]`, without scale or weight. output: what the
    student's head reads, as `ModelOutputs` has it. student, teacher: what both answer; of a teacher that no kind
    selected reads, None. batch: labels, and how far the run is. Tensors are on the device, with their graph.
    """

    step: int
    indices: NDArray[np.int64]
    knowledge: tuple[Knowledge, ...]
    losses: Tensor
    output: Tensor
    student: Answer
    teacher: Answer | None
    batch: Batch


class DistillerCallback:
    """Looks on while a student is trained; of what it does nothing may change the training."""

    def on_losses(self, part: TrainingPart, total: Tensor) -> None:
        """See a part of a step and its loss, `total [B]`, before the backward pass; not to wait for the device."""

    def on_phase_end(self) -> None:
        """Learn that a phase is over, and the device has been waited for."""

    def on_rewind(self, step: int) -> None:
        """Learn that the run now stands after `step` training steps: whatever came later has not happened."""
