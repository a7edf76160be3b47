"""How tokens relate in the teacher's queries, keys and values."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.attention import attention_divergence
from kselect.knowledge.base import Knowledge, mean_of
from kselect.knowledge.batch import Batch
from kselect.knowledge.layer_map import LayerMap
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class HeadRelations(Knowledge):
    """KL between the models' `softmax(XXᵀ / √d)` of one projection X: MiniLMv2 (Wang et al., 2021, eq. 4 to 6).

    All heads of X are put side by side and cut anew into relation heads of width d, as many in both models, so that
    neither widths nor attention heads need be equal. A mean over relation heads, real tokens and mapped layers, in
    nats. The paper compares one upper layer (`last`, or a pair).
    """

    output: ClassVar[str]
    scale: float | None = None

    def __init__(self, layer_map: LayerMap, relation_heads: int) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map` in so many relation heads."""
        self.layer_map = layer_map
        self.relation_heads = relation_heads
        self.student_needs = Needs(**{self.output: frozenset(student for student, _ in layer_map)})
        self.teacher_needs = Needs(**{self.output: frozenset(teacher for _, teacher in layer_map)})

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean divergence of each example, `[B]`."""
        assert teacher is not None
        mask = student.attention_mask
        return mean_of(
            [
                attention_divergence(
                    relation(teacher.layers(self.output)[t], self.relation_heads, mask),
                    relation(student.layers(self.output)[s], self.relation_heads, mask),
                    mask,
                )
                for s, t in self.layer_map
            ]
        )


class QueryRelations(HeadRelations):
    """Relations of queries."""

    name: ClassVar[str] = "query-relations"
    output: ClassVar[str] = "queries"


class KeyRelations(HeadRelations):
    """Relations of keys."""

    name: ClassVar[str] = "key-relations"
    output: ClassVar[str] = "keys"


class ValueRelations(HeadRelations):
    """Relations of values."""

    name: ClassVar[str] = "value-relations"
    output: ClassVar[str] = "values"


def relation(x: Tensor, relation_heads: int, attention_mask: Tensor) -> Tensor:
    """Return `softmax(XXᵀ / √d)` `[B, R, n, n]` over real tokens of a projection `[B, H, n, d]`, cut into R heads."""
    joined = x.float().transpose(1, 2).flatten(2)
    heads = joined.unflatten(-1, (relation_heads, -1)).transpose(1, 2)
    scores = torch.matmul(heads, heads.transpose(2, 3)) * heads.size(-1) ** -0.5
    return scores.masked_fill(attention_mask[:, None, None, :] == 0, -torch.inf).softmax(-1)
