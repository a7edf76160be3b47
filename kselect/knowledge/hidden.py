"""The teacher's hidden states."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from kselect.knowledge.base import Knowledge, mean_of, mean_over_tokens
from kselect.knowledge.batch import Batch
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class Hidden(Knowledge):
    """Squared distance of hidden states: FeaK of Wang et al. (2022).

    A mean over real tokens, dimensions and mapped layers.
    """

    name: ClassVar[str] = "hidden"
    scale: float | None = None

    def __init__(self, layer_map: tuple[tuple[int, int], ...]) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`, counted from 1."""
        self.layer_map = layer_map
        self.student_needs = Needs(hidden_states=frozenset(student for student, _ in layer_map))
        self.teacher_needs = Needs(hidden_states=frozenset(teacher for _, teacher in layer_map))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        return mean_of([self._distance(student, teacher, s, t) for s, t in self.layer_map])

    @staticmethod
    def _distance(student: ModelOutputs, teacher: ModelOutputs, s: int, t: int) -> Tensor:
        difference = student.hidden_states[s].float() - teacher.hidden_states[t].float()
        return mean_over_tokens(difference.square().mean(-1), student.attention_mask)
