"""What the kinds that compare hidden states layer by layer have in common."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from kselect.knowledge.base import Knowledge, mean_of
from kselect.knowledge.batch import Batch
from kselect.knowledge.layer_map import LayerMap
from kselect.knowledge.projection import Projection
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


def projected(outputs: ModelOutputs, layer: int, projection: Projection | None) -> Tensor:
    """Return the student's hidden states `[B, n, D]` of `layer` in float32, at the teacher's width."""
    states = outputs.hidden_states[layer].float()
    return states if projection is None else projection(states, layer)


class StatesKnowledge(Knowledge):
    """A distance of hidden states, averaged over mapped layers."""

    scale: float | None = None

    def __init__(self, layer_map: LayerMap, projection: Projection | None = None) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`, projected where widths differ."""
        self.layer_map = self.pairs = layer_map
        self.projection = self.modules = projection
        self.student_needs = Needs(hidden_states=frozenset(student for student, _ in layer_map))
        self.teacher_needs = Needs(hidden_states=frozenset(teacher for _, teacher in layer_map))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean distance of each example, `[B]`."""
        assert teacher is not None
        return mean_of(
            [
                self.distance(
                    projected(student, s, self.projection), teacher.hidden_states[t].float(), student.attention_mask
                )
                for s, t in self.pairs
            ]
        )

    @abstractmethod
    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the distance `[B]` of one layer's states, both `[B, n, D]`, over real tokens."""
