"""Knowledge in latent dependency trees: distributions over trees that attention induces."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge, LayerwiseKnowledge, ParsedSentences
from kselect.models.heads.parser import possible_heads
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs
from kselect.structure.trees import matrix_tree

FLOOR = 1e-6
"""Added to every arc weight, see `weights_of_arcs`."""


class LatentTrees(LayerwiseKnowledge):
    """KL between the distributions over dependency trees that attention induces, in nats per token.

    Attention from token d to token h is the weight of the arc from head h to dependent d. Attention of a token to
    itself, which as an arc would be a cycle, is the weight of attaching it to the root. A non-projective tree with one
    root weighs the product of its arcs, and the matrix-tree theorem sums over all trees. Scores are read before the
    softmax and averaged over heads, so that the models may have different numbers of heads. Special tokens are treated
    like all others. A mean over mapped layers.

    The loss is that of structural distillation, divided by the number of tokens. It needs the teacher's marginals
    p(h | d) and the student's log-partition, but no derivative of a marginal; its gradient with respect to the log
    weight of an arc is the student's marginal minus the teacher's. A divergence between the marginals themselves would
    have to be differentiated through them, and would ignore how the heads of several tokens depend on each other.

    Source: structural distillation (Wang et al., 2021), minus the teacher's entropy; matrix-tree theorem (Koo et al.,
    2007); trees in attention (Liu and Lapata, 2018).
    """

    name: ClassVar[str] = "latent-trees"
    outputs: ClassVar[tuple[str, ...]] = ("queries", "keys")  # scores themselves would rule out fused attention

    def layer_distance(
        self, student: ModelOutputs, teacher: ModelOutputs, student_layer: int, teacher_layer: int
    ) -> Tensor:
        """Return the divergence of one pair of layers, `[B]`."""
        mask = student.attention_mask.bool()
        p = weights_of_arcs(teacher.queries[teacher_layer], teacher.keys[teacher_layer], mask)
        q = weights_of_arcs(student.queries[student_layer], student.keys[student_layer], mask)
        return tree_divergence(p, q, mask)


def weights_of_arcs(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """Return the weight of each head of each token, `[B, n, 1 + n]` in float64: the root, then the tokens.

    A token's weights are the softmax over real tokens of its mean scores `q·k / √d`, plus `FLOOR`, and 0 where there is
    no arc. The floor bounds the matrix inverse from which the sums over trees are computed, so that they are exact to
    1e-9 for any scores; it also limits each token's contribution to the loss to its logarithm, 14 nats.

    Args:
        queries: `[B, H, n, d]`.
        keys: `[B, H, n, d]`.
        mask: True on real tokens, `[B, n]`.
    """
    heads, size = queries.size(1), queries.size(3)
    # The sum of the heads' products is the product of the concatenated heads.
    q, k = (x.float().transpose(1, 2).flatten(2) for x in (queries, keys))
    scores = torch.matmul(q, k.transpose(1, 2)) / (heads * size**0.5)
    attention = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    weights = (attention.double() + FLOOR) * (mask[:, :, None] & mask[:, None])
    root = weights.diagonal(dim1=1, dim2=2)
    return torch.cat([root[..., None], weights - torch.diag_embed(root)], -1)


def tree_divergence(p: Tensor, q: Tensor, mask: Tensor) -> Tensor:
    """Return the KL `[B]` of two distributions over dependency trees, in nats per token and float32.

    Args:
        p: arc weights, `[B, n, 1 + n]`; no gradient flows to them.
        q: arc weights, `[B, n, 1 + n]`; differentiable once.
        mask: True on real tokens, `[B, n]`.
    """
    p = p.detach()
    total_p, arcs_p = matrix_tree(p, mask)
    total_q, arcs_q = matrix_tree(q.detach(), mask)
    log_p, log_q = (weights.masked_fill(weights == 0, 1.0).log() for weights in (p, q))
    # Zero in value, with the gradient of the log-partition, which is the marginals.
    gradient_carrier = arcs_q * (log_q - log_q.detach())
    divergence = total_q - total_p + (arcs_p * (log_p - log_q) + gradient_carrier).sum((1, 2))
    return (divergence.clamp(min=0.0) / mask.sum(-1)).float()


class ParserTrees(Knowledge):
    """KL between a parser's distribution over the trees of each sentence and the student's, in nats per word.

    The parser is an auxiliary teacher for another task: it reads the same sentences and scores the arcs of
    non-projective trees. The student's trees are latent in the attention of one layer, as in `LatentTrees` but between
    words: each word is represented by its first token, attention is restricted to the words of the sentence, and
    attention of a word to itself is the weight of the root. Both texts of a pair have a tree each.

    Source: structural distillation (Wang et al., 2021); matrix-tree theorem (Koo et al., 2007).
    """

    name: ClassVar[str] = "parser-trees"
    scale: float | None = None
    teacher_needs = None
    reads_parser: ClassVar[bool] = True

    def __init__(self, layer: int) -> None:
        """Read the attention of the student's `layer`, counted from 1."""
        self.layer = layer
        self.student_needs = Needs(queries=frozenset({layer}), keys=frozenset({layer}))

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`, a mean over its words."""
        parsed = batch.parsed
        assert parsed is not None
        queries, keys = (_at_words(projection[self.layer], parsed) for projection in (student.queries, student.keys))
        per_word = tree_divergence(weights_of_heads(parsed), weights_of_arcs(queries, keys, parsed.mask), parsed.mask)
        lengths = parsed.mask.sum(1).to(per_word.dtype)
        zeros = per_word.new_zeros(len(batch.labels))
        totals, words = (zeros.index_add(0, parsed.examples, values) for values in (per_word * lengths, lengths))
        return totals / words


def weights_of_heads(parsed: ParsedSentences) -> Tensor:
    """Return the parser's weight of each head of each word, `[N, W, 1 + W]` in float64.

    Its marginal probability plus `FLOOR`, which keeps the sums over trees exact; 0 where there is no arc.
    """
    possible = possible_heads(parsed.mask) & parsed.mask[..., None]
    return (parsed.heads.double() + FLOOR) * possible


def _at_words(values: Tensor, parsed: ParsedSentences) -> Tensor:
    """Select the first token of each word, `[N, H, W, d]`, from `values [B, H, n, d]`."""
    _, heads, _, size = values.shape
    positions = parsed.positions[:, None, :, None].expand(-1, heads, -1, size)
    return values[parsed.examples].gather(2, positions)
