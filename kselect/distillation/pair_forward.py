"""Forward passes of student and teacher on training examples, and the losses between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.callback import MicroBatch
from kselect.distillation.cost_account import CostAccount
from kselect.distillation.device import autocast, send
from kselect.distillation.teacher.outputs import TeacherOutputs, needs_by_teachers
from kselect.knowledge.base import Batch, Knowledge, ParsedSentences
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, forward
from kselect.tasks.encoding import EncodedSplit

PairOutputs = tuple[dict[str, Tensor], ModelOutputs, dict[tuple[int, ...], ModelOutputs]]
"""A batch of training examples, and the outputs of student and teachers, by which of them each is of."""


class PairForward:
    """Runs student and teachers on training examples, computing only what the given kinds of knowledge read."""

    def __init__(
        self,
        student: Classifier,
        teachers: TeacherOutputs,
        train: EncodedSplit,
        account: CostAccount,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Run models on `device` in `dtype`; the time of the teachers is charged to `account`."""
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
        batch = self._batch(self._train, indices)
        return self.compare_batch(batch, indices, knowledge, step, progress, live)

    def compare_batch(
        self,
        batch: dict[str, Tensor],
        indices: NDArray[np.int64],
        knowledge: Sequence[Knowledge],
        step: int,
        progress: float,
        live: bool,
    ) -> MicroBatch:
        """Compute the losses of a batch on the device; see `compare`. Where `live`, no `indices` are looked up."""
        student_needs = Needs.union(kind.student_needs for kind in knowledge)
        student, teachers = self._outputs(batch, indices, student_needs, needs_by_teachers(knowledge), live)
        parsed: ParsedSentences | None = None
        if self._teachers.parsed is not None and any(kind.reads_parser for kind in knowledge):
            with self._account.measure("teacher"):
                parsed = self._teachers.parsed.parse(indices, live)
        examples = Batch(batch["labels"], progress, self._dtype, parsed)
        losses = torch.stack([kind.loss(student, teachers.get(kind.teachers), examples) for kind in knowledge], dim=1)
        answers = {read: outputs.answer for read, outputs in teachers.items()}
        return MicroBatch(step, indices, tuple(knowledge), losses, student.output, student.answer, answers, examples)

    def outputs(
        self,
        indices: NDArray[np.int64],
        student_needs: Needs,
        teacher_needs: Mapping[tuple[int, ...], Needs],
        live: bool = False,
    ) -> PairOutputs:
        """Return training examples as a batch, and the outputs of the student and of the teachers with needs."""
        batch = self._batch(self._train, indices)
        return batch, *self._outputs(batch, indices, student_needs, teacher_needs, live)

    def _outputs(
        self,
        batch: dict[str, Tensor],
        indices: NDArray[np.int64],
        student_needs: Needs,
        teacher_needs: Mapping[tuple[int, ...], Needs],
        live: bool,
    ) -> tuple[ModelOutputs, dict[tuple[int, ...], ModelOutputs]]:
        teachers: dict[tuple[int, ...], ModelOutputs] = {}
        if teacher_needs:
            with self._account.measure("teacher"):
                for read, needs in teacher_needs.items():
                    teachers[read] = self._teachers.outputs_for(read, indices, batch, needs, live)
        with autocast(self._device, self._dtype):
            student = forward(self._student.model, batch, student_needs).under(self._student.head)
            for outputs in (student, *teachers.values()):
                _ = outputs.answer  # a cached property: computed in the same dtype
        return student, teachers

    def _batch(self, examples: EncodedSplit, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        return {name: send(value, self._device) for name, value in examples.batch(indices).items()}

    @torch.no_grad()
    def mean_cls(
        self, classifier: Classifier, examples: EncodedSplit, indices: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the mean [CLS] state `[D]` of a classifier's last layer over examples, without dropout."""
        last = classifier.layers
        batch = self._batch(examples, indices)
        classifier.model.eval()
        with autocast(self._device, self._dtype):
            outputs = forward(classifier.model, batch, Needs(hidden_states=frozenset({last})))
        return outputs.hidden_states[last][:, 0].float().mean(0).cpu().numpy()
