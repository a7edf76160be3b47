"""Base class of all kinds of knowledge, and the batch that their losses read."""

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
    """A parser's output for the N sentences, of at most W words, in a batch of texts.

    Attributes:
        examples: index in the batch of the text that each sentence belongs to, `[N]`.
        positions: position of each word's first token in the student's input, `[N, W]`.
        mask: True on real words, `[N, W]`.
        heads: marginal probability of each head of each word, the root first, `[N, W, 1 + W]`; products of them are
            weights of trees.
    """

    examples: Tensor
    positions: Tensor
    mask: Tensor
    heads: Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of B training examples.

    Attributes:
        labels: label ids in int64, or scores in float32 for a regression, `[B]`; label ids of words, `[B, W]`.
        progress: share of the run that is over, in [0, 1), read by schedules.
        dtype: dtype of the models' forward passes, float32 or bfloat16. A loss may compute matrix products of hidden
            states in it; sums are always in float32.
        parsed: the examples' sentences, where a selected kind of knowledge reads a parser.
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
    """A kind of knowledge: which outputs of both models it reads, and a loss that measures their distance.

    Attributes:
        name: its name in settings and selections, with the number of its teacher where it has one (`logits@2`).
        scale: factor on its loss. None measures it at the start of a run, so that the initial loss equals the gold
            loss of an uninformed model: log K, or the variance of the labels in a regression.
    """

    name: ClassVar[str]
    scale: float | None = 1.0

    student_needs: Needs = Needs()
    teacher_needs: Needs | None = Needs()
    """Inner outputs of the teacher that the loss reads; None if it does not read the teacher's outputs at all."""

    reads_labels: ClassVar[bool] = False
    """Whether the loss is undefined for an example without a gold label."""

    reads_weights: ClassVar[bool] = False
    """Whether it reads the teacher's weights, in addition to or instead of its outputs."""

    reads_parser: ClassVar[bool] = False
    """Whether it reads a parser's output for the sentences of the batch."""

    layer_map: LayerMap = ()
    """Pairs (student layer, teacher layer) to compare; empty if it uses no layer map."""
    modules: nn.Module | None = None
    """Modules trained together with the student, such as projections; never part of the saved student."""
    teachers: tuple[int, ...] = (0,)
    """Which teachers it reads, counted from 0; of several, the mean of their logits."""

    @property
    def reads_teacher(self) -> bool:
        """Whether it reads the teacher's outputs or weights."""
        return self.teacher_needs is not None or self.reads_weights

    @property
    def teacher_index(self) -> int:
        """The first of the teachers that it reads, counted from 0."""
        return self.teachers[0]

    @property
    def trains_head(self) -> bool:
        """Whether its loss has a gradient on the student's head: it reads answers, not inner outputs."""
        return not any(layers for _, layers in self.student_needs.items())

    @property
    def is_projected(self) -> bool:
        """Whether modules are trained with the student for it, such as a projection."""
        return self.modules is not None

    @abstractmethod
    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the loss of each example, `[B]` in float32, before scale and weight.

        Args:
            student: outputs of the student, with at least `student_needs`.
            teacher: outputs of the teacher, with at least `teacher_needs`; None if that is None.
            batch: labels, and how far the run is.
        """


class LayerwiseKnowledge(Knowledge):
    """Base class: a distance between mapped layers, averaged over them.

    Attributes:
        outputs: the outputs that are read in each layer, by their names in `Needs`.
    """

    outputs: ClassVar[tuple[str, ...]]
    scale: float | None = None

    def __init__(self, layer_map: LayerMap) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`."""
        self.layer_map = self.compared_layers = layer_map
        layers = [frozenset(pair[side] for pair in layer_map) for side in (0, 1)]
        self.student_needs, self.teacher_needs = (Needs(**dict.fromkeys(self.outputs, each)) for each in layers)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the mean distance of each example, `[B]`."""
        assert teacher is not None
        return mean_of([self.layer_distance(student, teacher, s, t) for s, t in self.compared_layers])

    @abstractmethod
    def layer_distance(
        self, student: ModelOutputs, teacher: ModelOutputs, student_layer: int, teacher_layer: int
    ) -> Tensor:
        """Return the distance of one pair of layers for each example, `[B]`."""


def mean_over_tokens(values: Tensor, attention_mask: Tensor) -> Tensor:
    """Average `values [B, n]` over the real tokens of each example; returns `[B]`."""
    mask = attention_mask.to(values.dtype)
    return (values * mask).sum(-1) / mask.sum(-1)


def mean_of(values: list[Tensor]) -> Tensor:
    """Average tensors of one shape, elementwise."""
    return torch.stack(values).mean(0)
