"""The teacher's attention before the softmax."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from kselect.knowledge.base import Knowledge, mean_of, mean_over_tokens
from kselect.knowledge.batch import Batch
from kselect.knowledge.layer_map import LayerMap
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class AttentionScores(Knowledge):
    """Squared distance of attention scores, a mean over heads, pairs of real tokens and mapped layers.

    The attention part of TinyBERT (Jiao et al., 2020, eq. 7), which takes scores as they are before the softmax.
    """

    name: ClassVar[str] = "attention-scores"
    scale: float | None = None

    def __init__(self, layer_map: LayerMap) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`, counted from 1."""
        self.layer_map = layer_map
        self.student_needs = Needs(attention_scores=frozenset(student for student, _ in layer_map))
        self.teacher_needs = Needs(attention_scores=frozenset(teacher for _, teacher in layer_map))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        mask = student.attention_mask
        return mean_of(
            [self._distance(student.attention_scores[s], teacher.attention_scores[t], mask) for s, t in self.layer_map]
        )

    @staticmethod
    def _distance(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        squares = (student.float() - teacher.float()).square().mean(1)
        return mean_over_tokens(mean_over_tokens(squares, attention_mask[:, None, :]), attention_mask)
