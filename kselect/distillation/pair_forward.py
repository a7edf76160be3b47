"""Forward passes of student and teacher on training examples, and the losses between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.callback import MicroBatch
from kselect.distillation.cost_account import CostAccount
from kselect.distillation.device import autocast, send
from kselect.distillation.teacher.outputs import TeacherOutputs
from kselect.knowledge.base import Batch, Knowledge, ParsedSentences
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, forward
from kselect.tasks.encoding import EncodedSplit

PairOutputs = tuple[dict[str, Tensor], ModelOutputs, ModelOutputs | None]
"""A batch of training examples, and the outputs of student and teacher."""


class PairForward:
    """Runs student and teacher on training examples, computing only what the given kinds of knowledge read."""

    def __init__(
        self,
        student: Classifier,
        teachers: TeacherOutputs,
        train: EncodedSplit,
        account: CostAccount,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Run models on `device` in `dtype`; the time of the teacher is charged to `account`."""
        self._student = student
        self._teachers = teachers
        self._train = train
        self._account = account
        self._device = device
        self._dtype = dtype

    def compare(
        self,
        indices: NDArray[np.int64],
        knowledge: Sequence[Knowledge],
        step: int,
        progress: float,
        live: bool = False,
    ) -> MicroBatch:
        """Compute the losses of training examples.

        Args:
            indices: the examples, `[B]`.
            knowledge: the kinds of knowledge to compare, at least one.
            step: the training step, counted from 1.
            progress: share of the run that is over, in [0, 1).
            live: whether to bypass the cache of teacher outputs.
        """
        teacher_needs = [kind.teacher_needs for kind in knowledge if kind.teacher_needs is not None]
        batch, student, teacher = self.outputs(
            indices,
            Needs.union(kind.student_needs for kind in knowledge),
            Needs.union(teacher_needs) if teacher_needs else None,
            live,
        )
        parsed: ParsedSentences | None = None
        if self._teachers.parsed is not None and any(kind.reads_parser for kind in knowledge):
            with self._account.measure("teacher"):
                parsed = self._teachers.parsed.parse(indices, live)
        examples = Batch(batch["labels"], progress, self._dtype, parsed)
        losses = torch.stack([kind.loss(student, teacher, examples) for kind in knowledge], dim=1)
        answers = student.answer, teacher.answer if teacher else None
        return MicroBatch(step, indices, tuple(knowledge), losses, student.output, *answers, examples)

    def outputs(
        self, indices: NDArray[np.int64], student_needs: Needs, teacher_needs: Needs | None, live: bool = False
    ) -> PairOutputs:
        """Return training examples as a batch, and the outputs of both models; no teacher's if its needs are None."""
        batch = {name: send(value, self._device) for name, value in self._train.batch(indices).items()}
        teacher: ModelOutputs | None = None
        if teacher_needs is not None:
            with self._account.measure("teacher"):
                teacher = self._teachers.outputs_for(indices, batch, teacher_needs, live)
        with autocast(self._device, self._dtype):
            student = forward(self._student.model, batch, student_needs).under(self._student.head)
            _ = student.answer, teacher.answer if teacher else None  # cached properties: computed in the same dtype
        return batch, student, teacher
