"""Callbacks that observe a student's training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads import Answer


@dataclass(frozen=True)
class MicroBatch:
    """The batch of a training step, or a part of it under gradient accumulation, before its backward pass.

    Tensors are on the device and part of the autograd graph.

    Attributes:
        step: the training step, counted from 1.
        indices: the training examples, `[B]`, on the host.
        knowledge: the selected kinds of knowledge, k of them.
        losses: loss of each example for each of them, `[B, k]`, before scale and weight.
        output: input of the student's head, see `ModelOutputs`.
        student: the student's answer.
        teacher: the teacher's answer; None if no selected kind reads the teacher.
        batch: labels, and how far the run is.
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
    """Base class of callbacks; a callback observes the training and must not change it."""

    def on_losses(self, micro_batch: MicroBatch, total: Tensor) -> None:
        """Called before each backward pass; must not synchronise with the device.

        Args:
            micro_batch: the examples, answers and losses.
            total: the weighted loss of each example, `[B]`.
        """

    def on_phase_end(self) -> None:
        """Called at the end of a phase, after synchronising with the device."""

    def on_rewind(self, step: int) -> None:
        """Called when the run returns to the moment after `step` training steps; later steps are undone."""
