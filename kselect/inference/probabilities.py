"""Probabilities of the parts of an answer: of classes, of tags, or of the heads of words."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kselect.errors import KselectError
from kselect.models.heads import Answer, LabelsAnswer
from kselect.models.heads.classes import ClassAnswer
from kselect.models.heads.crf import ChainAnswer
from kselect.models.heads.parser import TreeAnswer
from kselect.models.heads.spans import SpanAnswer
from kselect.models.heads.tagger import TagAnswer
from kselect.models.heads.tree_tagger import ArcTagAnswer
from kselect.tasks.words.encoding import Piece


@singledispatch
def probabilities(answer: Answer) -> Tensor:
    """Return the marginal probabilities of an answer's parts.

    Returns:
        Of whole texts, of each class or label, `[B, K]`; of words, of each tag, `[B, W, K]`, or of each head, the root
        first, `[B, W, 1 + W]`. Where a head scores whole structures, these are sums over all of them; those of arcs are
        sums over all trees with one root.

    Raises:
        KselectError: a regression, which has none.
    """
    raise KselectError("The model gives scores, which have no probabilities: ask for predictions.")


@probabilities.register
def _(answer: ClassAnswer) -> Tensor:
    return answer.logits.float().softmax(-1)


@probabilities.register
def _(answer: LabelsAnswer) -> Tensor:
    return answer.logits.float().sigmoid()


@probabilities.register
def _(answer: TagAnswer) -> Tensor:
    return answer.logits.float().softmax(-1)


@probabilities.register
def _(answer: ChainAnswer) -> Tensor:
    return answer.chain.marginals.labels


@probabilities.register
def _(answer: SpanAnswer) -> Tensor:
    return answer.spans.tag_marginals()


@probabilities.register
def _(answer: TreeAnswer) -> Tensor:
    return answer.arc_marginals("non-projective")


@probabilities.register
def _(answer: ArcTagAnswer) -> Tensor:
    return answer.trees.marginals


def joined(pieces: list[tuple[Piece, NDArray[Any]]], trees: bool) -> NDArray[Any]:
    """Return the probabilities of a sentence of n words from those of its pieces, see `EncodedWords.whole`.

    A word's head is looked for in its piece alone, and the root of a piece is taken for that of the sentence.

    Returns:
        Of tags `[n, K]`; of heads `[n, 1 + n]`.
    """
    if not trees:
        return np.concatenate([values for _, values in pieces])
    size = pieces[-1][0].last
    whole = np.zeros((size, 1 + size), dtype=np.float32)
    for piece, values in pieces:
        count = piece.last - piece.first
        whole[piece.first : piece.last, 0] = values[:, 0]
        whole[piece.first : piece.last, 1 + piece.first : 1 + piece.last] = values[:, 1 : 1 + count]
    return whole
