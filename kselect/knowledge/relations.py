"""Relations between the teacher's layers."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from kselect.knowledge.attention import attention_divergence
from kselect.knowledge.base import Batch, Knowledge, mean_of
from kselect.knowledge.hidden_states import Projection, projected
from kselect.knowledge.layer_map import LayerMap
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
        self.layer_map, self.path = layer_map, ((0, 0), *layer_map)
        self.projection = self.modules = projection
        self.student_needs = Needs(hidden_states=frozenset(student for student, _ in self.path))
        self.teacher_needs = Needs(hidden_states=frozenset(teacher for _, teacher in self.path))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        assert teacher is not None
        layers = [
            products(projected(student, s, self.projection), teacher.hidden_states[t].float(), batch.dtype)
            for s, t in self.path
        ]
        distances = [flow_distance(a, b, student.attention_mask) for a, b in pairwise(layers)]
        return mean_of(distances) / layers[0].width ** 2


class Products(NamedTuple):
    """Inner products of tokens `[B, n, n]` in one layer, with student's states S `[B, n, D]` and teacher's T = S - Δ.

    teacher: `TTᵀ`. mixed: `ΔTᵀ`. change: `ΔΔᵀ`. excess: `SSᵀ - TTᵀ`. width: D.
    """

    teacher: Tensor
    mixed: Tensor
    change: Tensor
    excess: Tensor
    width: int


def products(student: Tensor, teacher: Tensor, dtype: torch.dtype = torch.float32) -> Products:
    """Return the inner products of a layer's states, both `[B, n, D]`, worked out in `dtype` and told in float32.

    The difference is taken before anything is rounded to `dtype`, so that rounding is relative to it.
    """
    delta, teacher = (student - teacher).to(dtype), teacher.to(dtype)
    mixed, change = (delta @ teacher.mT).float(), _with_itself(delta)
    return Products((teacher @ teacher.mT).float(), mixed, change, mixed + mixed.mT + change, student.size(-1))


def _with_itself(x: Tensor) -> Tensor:
    """Return `XXᵀ` in float32, whose gradient takes one matrix product instead of two.

    Both of X's places give the same gradient wherever a symmetric matrix is compared with symmetric ones, as here: it
    is worked out for one place, and doubled.
    """
    half = (x @ x.detach().mT).float()
    return 2 * half - half.detach()


def flow_distance(a: Products, b: Products, attention_mask: Tensor) -> Tensor:
    """Return `|G(A, B) of the student - G(A, B) of the teacher|²` `[B]`, a sum over entries, over the real tokens.

    Since `<AᵀB, CᵀD> = <ACᵀ, BDᵀ>`, inner products of tokens tell the distance, and no `[D, D]` matrix is made: with
    fewer tokens than dimensions that is several times faster. All is told in Δ, so that a small distance is not
    a difference of large numbers.
    """
    mask = attention_mask.float()
    weights = mask / mask.sum(-1, keepdim=True)
    terms = a.teacher * b.change + a.change * b.teacher + a.excess * b.excess - 2 * a.mixed * b.mixed
    return (terms * weights[:, :, None] * weights[:, None, :]).sum((-2, -1))


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
