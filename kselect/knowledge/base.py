"""What every kind of knowledge has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from kselect.knowledge.layer_map import LayerMap
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs


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


class Knowledge(ABC):
    """A kind of thing to transfer: what it reads of both models, and how far apart they are in it.

    `scale` is the factor on its loss; None asks for it to be measured, so that at the start of a run this loss is
    worth as much as the gold loss of a model that knows nothing: log K, or in a regression the variance of the labels.
    """

    name: ClassVar[str]
    scale: float | None = 1.0

    student_needs: Needs = Needs()
    teacher_needs: Needs | None = Needs()
    """What is read of the teacher; None where the teacher is not read at all."""

    reads_labels: ClassVar[bool] = False
    """Whether it has nothing to say of an example without a gold label."""

    reads_weights: ClassVar[bool] = False
    """Whether it reads weights of the teacher itself, beside or in place of what it gives for a batch."""

    reads_parser: ClassVar[bool] = False
    """Whether it reads what a parser says of the batch's sentences."""

    layer_map: LayerMap = ()
    """Pairs (student layer, teacher layer) that are compared; empty where it has no use for a map."""
    modules: nn.Module | None = None
    """What the loss must learn along with the student, such as projections; never a part of the saved student."""

    @abstractmethod
    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the distance of each example, `[B]` in float32, without scale or weight.

        Args:
            student: outputs of the student, with at least `student_needs`.
            teacher: outputs of the teacher, with at least `teacher_needs`; None if that is None.
            batch: labels, and how far the run is.
        """


def mean_over_tokens(values: Tensor, attention_mask: Tensor) -> Tensor:
    """Average `values [B, n]` over the real tokens of each example; returns `[B]`."""
    mask = attention_mask.to(values.dtype)
    return (values * mask).sum(-1) / mask.sum(-1)


def mean_of(values: list[Tensor]) -> Tensor:
    """Average tensors of one shape, elementwise."""
    return torch.stack(values).mean(0)
