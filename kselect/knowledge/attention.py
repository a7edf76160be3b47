"""Knowledge in attention: distances of attention probabilities and attention scores."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import LayerwiseKnowledge, mean_over_tokens
from kselect.models.outputs import ModelOutputs


class Attention(LayerwiseKnowledge):
    """KL between attention distributions, in nats, a mean over heads, real queries and mapped layers.

    Probabilities are read before dropout. Padded keys have probability 0, padded queries are not counted.

    Source: the attention loss of MiniLM (Wang et al., 2020, section 3.1), which compares only the last layer.
    """

    name: ClassVar[str] = "attention"
    outputs: ClassVar[tuple[str, ...]] = ("attentions",)

    def layer_distance(
        self, student: ModelOutputs, teacher: ModelOutputs, student_layer: int, teacher_layer: int
    ) -> Tensor:
        """Return the divergence of one pair of layers, `[B]`."""
        p, q = teacher.attentions[teacher_layer], student.attentions[student_layer]
        return attention_divergence(p, q, student.attention_mask)


def attention_divergence(p: Tensor, q: Tensor, attention_mask: Tensor) -> Tensor:
    """Return `KL(p || q)` `[B]` of attention probabilities `[B, H, n, n]`, a mean over heads and real queries.

    Both are 0 on padded keys, which therefore add nothing. The floor under the logarithm guards against probabilities
    that are 0 or have underflowed.
    """
    p, q = p.float(), q.float()
    floor = torch.finfo(torch.float32).tiny
    divergence = (p * (p.clamp_min(floor).log() - q.clamp_min(floor).log())).sum(-1)
    return mean_over_tokens(divergence.mean(1), attention_mask)


class AttentionScores(LayerwiseKnowledge):
    """Squared distance of attention scores, a mean over heads, pairs of real tokens and mapped layers.

    Source: the attention loss of TinyBERT (Jiao et al., 2020, eq. 7), on scores before the softmax.
    """

    name: ClassVar[str] = "attention-scores"
    outputs: ClassVar[tuple[str, ...]] = ("attention_scores",)

    def layer_distance(
        self, student: ModelOutputs, teacher: ModelOutputs, student_layer: int, teacher_layer: int
    ) -> Tensor:
        """Return the squared distance of one pair of layers, `[B]`."""
        scores, target = student.attention_scores[student_layer], teacher.attention_scores[teacher_layer]
        squares, mask = (scores.float() - target.float()).square().mean(1), student.attention_mask
        return mean_over_tokens(mean_over_tokens(squares, mask[:, None, :]), mask)
