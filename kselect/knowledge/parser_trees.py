"""Dependency trees by a parser, against those that are latent in the student's attention."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from kselect.knowledge.base import Knowledge
from kselect.knowledge.batch import Batch, ParsedSentences
from kselect.knowledge.latent_trees import FLOOR, tree_divergence, weights_of_arcs
from kselect.models.heads.parser import possible_heads
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


class ParserTrees(Knowledge):
    """KL from a parser's distribution over the trees of each sentence to the student's, in nats a word.

    An auxiliary teacher of another task: a parser reads the words of the same sentences, and scores non-projective
    trees arc by arc. The student's are latent in the attention of its last layer, word by word, as in
    `kselect.knowledge.latent_trees`: of a word its first token is read, attention goes to the words of its sentence
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
