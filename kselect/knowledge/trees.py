"""Dependency trees that are latent in the teacher's attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge, ParsedSentences, mean_of
from kselect.knowledge.layer_map import LayerMap
from kselect.models.heads.parser import possible_heads
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs
from kselect.structure.trees import matrix_tree

FLOOR = 1e-6
"""Is added to every token's share of attention: see `weights_of_arcs`."""


class LatentTrees(Knowledge):
    """KL between the distributions over dependency trees that attention induces, in nats a token, over mapped layers.

    Attention from token d to token h is read as the weight of the arc from head h to dependent d, and attention of a
    token to itself, which as an arc would be a cycle, as the weight of hanging from the root. The weights of a text's
    non-projective trees with one root are products of these, and the matrix-tree theorem sums over all of them (Koo et
    al., 2007), as structured attention does (Liu and Lapata, 2018). The scores are those before the softmax, a mean
    over heads, so that the models need not have as many; special tokens are tokens like others.

    The loss is structural distillation's (Wang et al., 2021, eq. 4, less the teacher's entropy), divided by the number
    of tokens. It needs the teacher's marginals p(h | d) and the student's log-partition, no derivative of a marginal,
    and its gradient in the log weight of an arc is the student's marginal less the teacher's: they are matched token
    pair by token pair. A divergence between the marginals themselves would have to be differentiated through them, and
    would be blind to how the heads of several tokens go together.
    """

    name: ClassVar[str] = "latent-trees"
    scale: float | None = None

    def __init__(self, layer_map: LayerMap) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`, counted from 1.

        Scores come from queries and keys, so that no layer gives up its fused attention for them.
        """
        self.layer_map = layer_map
        students, teachers = (frozenset(pair[side] for pair in layer_map) for side in (0, 1))
        self.student_needs = Needs(queries=students, keys=students)
        self.teacher_needs = Needs(queries=teachers, keys=teachers)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]`."""
        assert teacher is not None
        mask = student.attention_mask.bool()
        return mean_of(
            [
                tree_divergence(
                    weights_of_arcs(teacher.queries[t], teacher.keys[t], mask),
                    weights_of_arcs(student.queries[s], student.keys[s], mask),
                    mask,
                )
                for s, t in self.layer_map
            ]
        )


def weights_of_arcs(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """Return the weight of each head of each token, `[B, n, 1 + n]` in float64: the root, then the tokens.

    Args:
        queries: `[B, H, n, d]`.
        keys: the same.
        mask: True on real tokens, `[B, n]`.

    A token's weights are the softmax of its mean scores `q·k / √d` over real tokens, plus `FLOOR`, and 0 where there is
    no arc. The floor bounds the inverse that the sums over trees are taken from, so that they are exact to 1e-9
    whatever the scores; and a token's part in the loss cannot grow beyond its logarithm, 14 nats.
    """
    heads, size = queries.size(1), queries.size(3)
    # The sum over heads of their products is the product of all heads side by side.
    q, k = (x.float().transpose(1, 2).flatten(2) for x in (queries, keys))
    scores = torch.matmul(q, k.transpose(1, 2)) / (heads * size**0.5)
    attention = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    weights = (attention.double() + FLOOR) * (mask[:, :, None] & mask[:, None])
    root = weights.diagonal(dim1=1, dim2=2)
    return torch.cat([root[..., None], weights - torch.diag_embed(root)], -1)


def tree_divergence(p: Tensor, q: Tensor, mask: Tensor) -> Tensor:
    """Return the KL `[B]` of two distributions over dependency trees, in nats a token and float32.

    Args:
        p: weights of arcs, `[B, n, 1 + n]`, of which nothing is differentiated.
        q: the same, with no derivative beyond the first.
        mask: True on real tokens, `[B, n]`.
    """
    p = p.detach()
    total_p, arcs_p = matrix_tree(p, mask)
    total_q, arcs_q = matrix_tree(q.detach(), mask)
    log_p, log_q = (weights.masked_fill(weights == 0, 1.0).log() for weights in (p, q))
    # Worth nothing, but with the gradient of the log-partition, which is known to be the marginals.
    along = arcs_q * (log_q - log_q.detach())
    divergence = total_q - total_p + (arcs_p * (log_p - log_q) + along).sum((1, 2))
    return (divergence.clamp(min=0.0) / mask.sum(-1)).float()


class ParserTrees(Knowledge):
    """KL from a parser's distribution over the trees of each sentence to the student's, in nats a word.

    An auxiliary teacher of another task: a parser reads the words of the same sentences, and scores non-projective
    trees arc by arc. The student's are latent in the attention of its last layer, word by word, as in
    `kselect.knowledge.trees`: of a word its first token is read, attention goes to the words of its sentence
    alone, and that of a word to itself is the weight of the root. The texts of a pair are a tree each. Either
    distribution is summed over by the matrix-tree theorem (Koo et al., 2007), and the gradient in the log weight of an
    arc is the student's marginal less the parser's (structural distillation: Wang et al., 2021, eq. 4).
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
        queries, keys = (_at_words(of[self.layer], parsed) for of in (student.queries, student.keys))
        found = tree_divergence(weights_of_heads(parsed), weights_of_arcs(queries, keys, parsed.mask), parsed.mask)
        sizes = parsed.mask.sum(1).to(found.dtype)
        zeros = found.new_zeros(len(batch.labels))
        totals, words = (zeros.index_add(0, parsed.examples, values) for values in (found * sizes, sizes))
        return totals / words


def weights_of_heads(parsed: ParsedSentences) -> Tensor:
    """Return the parser's weight of each head of each word, `[N, W, 1 + W]` in float64.

    Its probability by itself, plus `FLOOR`, which keeps the sums over trees exact; 0 where there is no arc.
    """
    possible = possible_heads(parsed.mask) & parsed.mask[..., None]
    return (parsed.heads.double() + FLOOR) * possible


def _at_words(values: Tensor, parsed: ParsedSentences) -> Tensor:
    """Return what stands at the first token of each word, `[N, H, W, d]`, out of `values [B, H, n, d]`."""
    _, heads, _, size = values.shape
    at = parsed.positions[:, None, :, None].expand(-1, heads, -1, size)
    return values[parsed.examples].gather(2, at)
