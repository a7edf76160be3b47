"""A softmax over tags for each word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from kselect.models.heads.answer import Answer, Choices, Head, known_mean


@dataclass(frozen=True)
class TagAnswer(Answer):
    """A softmax over K tags for each of W words; labels are ids `[B, W]`, below 0 where none is known.

    logits: `[B, W, K]`. mask: `[B, W]`, True on real words.
    """

    choices_of: ClassVar[str | None] = "tags"
    logits: Tensor
    mask: Tensor

    @cached_property
    def choices(self) -> Choices:
        """One position per word."""
        return Choices(self.logits.float(), self.mask)

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return the labels, `[B, W]`."""
        return labels

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the mean of `-log q(y)` over the words whose label is known, `[B]`."""
        return known_mean(self.choices.log_probabilities(), labels, self.mask)

    def predict(self) -> Tensor:
        """Return tag ids, `[B, W]`."""
        return self.logits.argmax(-1)


class Tagger(Head):
    """The logits of a token classifier's output layer at the first token of each word."""

    name: ClassVar[str] = "tagger"

    def forward(self, output: Tensor, mask: Tensor | None) -> TagAnswer:
        """Read logits `[B, W, K]`."""
        assert mask is not None
        return TagAnswer(output, mask)
