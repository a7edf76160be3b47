"""Knowledge in relations: flow between layers, and similarities of tokens within one layer."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from kselect.knowledge.attention import attention_divergence
from kselect.knowledge.base import Batch, Knowledge, LayerwiseKnowledge, mean_of
from kselect.knowledge.hidden_states import Projection, projected
from kselect.knowledge.layer_map import LayerMap
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class Relations(Knowledge):
    """Squared distance of the flow between layers, a mean over matrix entries and pairs of layers.

    The flow between hidden states A and B of n tokens is the FSP matrix `G(A, B) = AᵀB / n`, `[D, D]`, computed between
    consecutive mapped layers, starting from the embeddings. Where widths differ, the student's states are projected
    first.

    Source: relation knowledge, RelK (Wang et al., 2022); FSP matrices (Yim et al., 2017).
    """

    name: ClassVar[str] = "relations"
    scale: float | None = None

    def __init__(self, layer_map: LayerMap, projection: Projection | None = None) -> None:
        """Compare flows along the (student layer, teacher layer) pairs of `layer_map`, counted from 1."""
        self.layer_map, self.compared_layers = layer_map, ((0, 0), *layer_map)
        self.projection = self.modules = projection
        self.student_needs = Needs(hidden_states=frozenset(student for student, _ in self.compared_layers))
        self.teacher_needs = Needs(hidden_states=frozenset(teacher for _, teacher in self.compared_layers))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        layers = [
            products(projected(student, s, self.projection), teacher.hidden_states[t].float(), batch.dtype)
            for s, t in self.compared_layers
        ]
        distances = [flow_distance(a, b, student.attention_mask) for a, b in pairwise(layers)]
        return mean_of(distances) / layers[0].width ** 2


class Products(NamedTuple):
    """Inner products of tokens `[B, n, n]` in one layer, with student's states S `[B, n, D]` and teacher's T = S - Δ.

    Attributes:
        teacher: `TTᵀ`.
        mixed: `ΔTᵀ`.
        change: `ΔΔᵀ`.
        excess: `SSᵀ - TTᵀ`.
        width: D.
    """

    teacher: Tensor
    mixed: Tensor
    change: Tensor
    excess: Tensor
    width: int


def products(student: Tensor, teacher: Tensor, dtype: torch.dtype = torch.float32) -> Products:
    """Return the inner products of a layer's states, both `[B, n, D]`, computed in `dtype` and returned in float32.

    The difference is taken before rounding to `dtype`, so that the rounding error is relative to the difference.
    """
    delta, teacher = (student - teacher).to(dtype), teacher.to(dtype)
    mixed, change = (delta @ teacher.mT).float(), _gram_matrix(delta)
    return Products((teacher @ teacher.mT).float(), mixed, change, mixed + mixed.mT + change, student.size(-1))


def _gram_matrix(x: Tensor) -> Tensor:
    """Return `XXᵀ` in float32, with a gradient that takes one matrix product instead of two.

    Both factors have the same gradient if the gradient of the product is symmetric, as it is here: it is computed for
    one factor and doubled.
    """
    half = (x @ x.detach().mT).float()
    return 2 * half - half.detach()


def flow_distance(a: Products, b: Products, attention_mask: Tensor) -> Tensor:
    """Return the squared distance `[B]` of the student's and the teacher's `G(A, B)`, a sum over entries.

    Since `<AᵀB, CᵀD> = <ACᵀ, BDᵀ>`, the distance follows from inner products of tokens without any `[D, D]` matrix,
    which is several times faster with fewer tokens than dimensions. It is expressed in Δ, so that a small distance is
    not the difference of large numbers.
    """
    mask = attention_mask.float()
    weights = mask / mask.sum(-1, keepdim=True)
    terms = a.teacher * b.change + a.change * b.teacher + a.excess * b.excess - 2 * a.mixed * b.mixed
    return (terms * weights[:, :, None] * weights[:, None, :]).sum((-2, -1))


class HeadRelations(LayerwiseKnowledge):
    """KL between the models' self-relations `softmax(XXᵀ / √d)` of one projection X, in nats.

    All heads of X are concatenated and split again into relation heads of width d, the same number in both models, so
    that neither widths nor numbers of attention heads need to match. A mean over relation heads, real tokens and mapped
    layers.

    Source: MiniLMv2 (Wang et al., 2021, section 3), which compares one upper layer (`last`, or one pair).
    """

    def __init__(self, layer_map: LayerMap, relation_heads: int) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map` in this many relation heads."""
        super().__init__(layer_map)
        self.relation_heads = relation_heads

    def layer_distance(
        self, student: ModelOutputs, teacher: ModelOutputs, student_layer: int, teacher_layer: int
    ) -> Tensor:
        """Return the divergence of one pair of layers, `[B]`."""
        (projection,), mask = self.outputs, student.attention_mask
        p = relation(teacher.layers(projection)[teacher_layer], self.relation_heads, mask)
        q = relation(student.layers(projection)[student_layer], self.relation_heads, mask)
        return attention_divergence(p, q, mask)


class QueryRelations(HeadRelations):
    """Relations of queries."""

    name: ClassVar[str] = "query-relations"
    outputs: ClassVar[tuple[str, ...]] = ("queries",)


class KeyRelations(HeadRelations):
    """Relations of keys."""

    name: ClassVar[str] = "key-relations"
    outputs: ClassVar[tuple[str, ...]] = ("keys",)


class ValueRelations(HeadRelations):
    """Relations of values."""

    name: ClassVar[str] = "value-relations"
    outputs: ClassVar[tuple[str, ...]] = ("values",)


def relation(x: Tensor, relation_heads: int, attention_mask: Tensor) -> Tensor:
    """Return `softmax(XXᵀ / √d)` `[B, R, n, n]` over real tokens of a projection `[B, H, n, d]`, split into R heads."""
    joined = x.float().transpose(1, 2).flatten(2)
    heads = joined.unflatten(-1, (relation_heads, -1)).transpose(1, 2)
    scores = torch.matmul(heads, heads.transpose(2, 3)) * heads.size(-1) ** -0.5
    return scores.masked_fill(attention_mask[:, None, None, :] == 0, -torch.inf).softmax(-1)
