"""The teacher's best tag sequences, as if they were gold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from kselect.errors import UserError
from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch
from kselect.models.heads.crf import ChainAnswer
from kselect.models.outputs import ModelOutputs


class BestSequences(Knowledge):
    """Negative log-likelihood of the teacher's k best tag sequences, a weighted mean over them, in nats a word.

    Top-k distillation in the form of Lin et al. 2022, with weights 1, 0.1 and 0.1.
    """

    name: ClassVar[str] = "best-sequences"

    def __init__(self, teacher: str, student: str, weights: Sequence[float] = (1.0, 0.1, 0.1)) -> None:
        """Learn so many sequences of a chain as there are weights.

        Raises:
            UserError: the teacher has no chain, or the student does not tag words.
        """
        if teacher != "crf" or student not in ("tagger", "crf"):
            raise UserError(
                f"knowledge best-sequences leads from a teacher's crf to a student's crf or tagger, not from {teacher} "
                f"to {student}: leave it out."
            )
        self.weights = tuple(weights)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the weighted mean of each example, `[B]`; sequences that a short sentence does not have are none."""
        assert teacher is not None
        assert isinstance(teacher.answer, ChainAnswer)
        with torch.no_grad():
            sequences, scores = teacher.answer.chain.best(len(self.weights))
        weights = torch.tensor(self.weights, device=scores.device) * (scores > -torch.inf)
        losses = [student.answer.gold_loss(sequence) for sequence in sequences.unbind(1)]
        return (torch.stack(losses, 1) * weights).sum(1) / weights.sum(1).clamp(min=1e-30)
