"""What a loss may know of a batch beside the models' outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ParsedSentences:
    """What a parser says of the N sentences of a batch of texts, of at most W words.

    examples: which text each is of, `[N]`. positions: where the first token of each word stands in the student's input,
    `[N, W]`. mask: True on real words, `[N, W]`. heads: how probable each head of each word is by itself, the root
    first, `[N, W, 1 + W]`; products of them are weights of trees.
    """

    examples: Tensor
    positions: Tensor
    mask: Tensor
    heads: Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of B training examples at a moment of the run.

    labels: `[B]`, label ids in int64, or scores in float32 where the task is a regression. progress: share of the run
    that is over, in [0, 1), for what changes as training goes on. dtype: arithmetic of the models' forward passes,
    float32 or bfloat16, in which a loss may take matrix products of states too; its sums are in float32 all the same.
    parsed: the sentences of the examples, where a kind of knowledge reads them.
    """

    labels: Tensor
    progress: float = 0.0
    dtype: torch.dtype = torch.float32
    parsed: ParsedSentences | None = None

    @property
    def regression(self) -> bool:
        """Whether labels are scores."""
        return self.labels.is_floating_point()
