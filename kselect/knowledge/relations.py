"""Relations between the teacher's layers."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import Knowledge, mean_of
from kselect.knowledge.batch import Batch
from kselect.knowledge.layer_map import LayerMap
from kselect.knowledge.projection import Projection
from kselect.knowledge.states import projected
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class Relations(Knowledge):
    """Squared distance of the flow between layers: RelK of Wang et al. (2022).

    The flow from hidden states A to B of n tokens is the FSP matrix `G(A, B) = AᵀB / n` (Yim et al., 2017), `[D, D]`.
    It is taken between consecutive mapped layers, starting from the embeddings; the distance is a mean over
    entries and pairs. Where widths differ the student's states are projected first.
    """

    name: ClassVar[str] = "relations"
    scale: float | None = None

    def __init__(self, layer_map: LayerMap, projection: Projection | None = None) -> None:
        """Compare flows along the (student layer, teacher layer) pairs of `layer_map`, counted from 1."""
        self.layer_map, path = layer_map, ((0, 0), *layer_map)
        self.projection = self.modules = projection
        self.flows = tuple(pairwise(path))
        self.student_needs = Needs(hidden_states=frozenset(student for student, _ in path))
        self.teacher_needs = Needs(hidden_states=frozenset(teacher for _, teacher in path))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        mask = student.attention_mask
        states = {layer: projected(student, layer, self.projection) for layer in self.student_needs.hidden_states}
        return mean_of(
            [
                (
                    flow(states[s1], states[s2], mask)
                    - flow(teacher.hidden_states[t1].float(), teacher.hidden_states[t2].float(), mask)
                )
                .square()
                .mean((-2, -1))
                for (s1, t1), (s2, t2) in self.flows
            ]
        )


def flow(a: Tensor, b: Tensor, attention_mask: Tensor) -> Tensor:
    """Return the FSP matrix `aᵀb / n` `[B, D, D]` of hidden states `[B, n, D]` over the real tokens."""
    mask = attention_mask[..., None].to(a.dtype)
    tokens = attention_mask.sum(-1)[:, None, None]
    return torch.matmul((a * mask).transpose(1, 2), b) / tokens
