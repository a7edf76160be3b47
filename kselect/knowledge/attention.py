"""Knowledge in attention: distances of attention probabilities and attention scores."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge, mean_of, mean_over_tokens
from kselect.knowledge.layer_map import LayerMap
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class Attention(Knowledge):
    """KL between attention distributions, in nats, a mean over heads, real queries and mapped layers.

    Probabilities are read before dropout. Padded keys have probability 0, padded queries are not counted.

    Source: the attention loss of MiniLM (Wang et al., 2020, eq. 3), which compares only the last layer.
    """

    name: ClassVar[str] = "attention"
    scale: float | None = None

    def __init__(self, layer_map: LayerMap) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`, counted from 1."""
        self.layer_map = layer_map
        self.student_needs = Needs(attentions=frozenset(student for student, _ in layer_map))
        self.teacher_needs = Needs(attentions=frozenset(teacher for _, teacher in layer_map))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean divergence of each example, `[B]`."""
        assert teacher is not None
        return mean_of(
            [
                attention_divergence(teacher.attentions[t], student.attentions[s], student.attention_mask)
                for s, t in self.layer_map
            ]
        )


def attention_divergence(p: Tensor, q: Tensor, attention_mask: Tensor) -> Tensor:
    """Return `KL(p || q)` `[B]` of attention probabilities `[B, H, n, n]`, a mean over heads and real queries.

    Both are 0 on padded keys, which therefore add nothing. The floor under the logarithm guards against probabilities
    that are 0 or have underflowed.
    """
    p, q = p.float(), q.float()
    floor = torch.finfo(torch.float32).tiny
    divergence = (p * (p.clamp_min(floor).log() - q.clamp_min(floor).log())).sum(-1)
    return mean_over_tokens(divergence.mean(1), attention_mask)


class AttentionScores(Knowledge):
    """Squared distance of attention scores, a mean over heads, pairs of real tokens and mapped layers.

    Source: the attention loss of TinyBERT (Jiao et al., 2020, eq. 7), on scores before the softmax.
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
