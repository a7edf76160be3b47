"""What a model answers, whatever is asked of it: classes, scores, tags, spans or trees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Choices:
    """Scores of K classes at each of U places of B examples, of which one class is right at each place.

    scores: `[B, U, K]`, in float32; what cannot be is `IMPOSSIBLE`, which no softmax gives a probability. mask:
    `[B, U]`, True at real places. Texts that are classified as a whole have one place.
    """

    scores: Tensor
    mask: Tensor

    def log_probabilities(self, temperature: float = 1.0) -> Tensor:
        """Return the log-softmax of the scores over `temperature`, `[B, U, K]`."""
        return torch.log_softmax(self.scores / temperature, dim=-1)

    @cached_property
    def detached(self) -> Tensor:
        """The log-softmax of the scores, `[B, U, K]`, for what only looks on: no gradient flows from it."""
        return torch.log_softmax(self.scores.detach(), dim=-1)

    @cached_property
    def possible(self) -> Tensor:
        """Which classes can be at each place, `[B, U, K]`."""
        return self.scores > IMPOSSIBLE / 2

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `values [B, U]` over the real places of each example, `[B]`; 0 where there is none."""
        return torch.where(self.mask, values, 0.0).sum(1) / self.mask.sum(1).clamp(min=1)

    @property
    def uncertainty(self) -> Tensor:
        """Entropy over log K, averaged over real places, `[B]` in [0, 1]; no gradient flows from it.

        K counts what can be, so that how far a batch is padded is of no effect.
        """
        scores = self.scores.detach()
        possible = torch.count_nonzero(self.possible, dim=-1).clamp(min=2)
        entropy = -(torch.softmax(scores, -1) * self.detached).sum(-1)
        return self.mean(entropy / possible.log())


class Answer(ABC):
    """A distribution over what may be said of each of B examples."""

    choices_of: ClassVar[str | None] = None
    """What a place's classes are, such as "tags"; None for a score, which is no choice."""

    @property
    @abstractmethod
    def choices(self) -> Choices:
        """The scores that the answer is made of, place by place; what hangs together is not asked."""

    @abstractmethod
    def right_choices(self, labels: Tensor) -> Tensor:
        """Return which class is the gold one at each place, `[B, U]`; below 0 where that is not known."""

    @abstractmethod
    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the negative log-likelihood of gold labels, as a batch has them, for each example, `[B]` in nats.

        For an example of n words, n-th of it, so that long sentences weigh no more than others.
        """

    @abstractmethod
    def predict(self) -> Tensor:
        """Return the most probable answer to each example, in the form that labels have."""


class Head(nn.Module, ABC):
    """Turns what a transformer gives into an answer; what it learns is trained along with the model."""

    name: ClassVar[str]
    sizes: Mapping[str, int] = {}
    """Of the layers it learns."""

    @abstractmethod
    def forward(self, output: Tensor, mask: Tensor | None) -> Answer:
        """Read what the transformer gave.

        Args:
            output: logits `[B, K]`; of words, logits `[B, W, K]` or hidden states `[B, W, D]`.
            mask: which words are real, `[B, W]`; None where texts are read as a whole.
        """


IMPOSSIBLE = -1e9
"""Score of what cannot be; finite, so that it times a probability of 0 is 0."""


def per_word(values: Tensor, mask: Tensor) -> Tensor:
    """Divide what is summed over the words of each sentence, `[B]`, by how many there are, of `mask [B, W]`."""
    return values / mask.sum(1).clamp(min=1)


def known_mean(log_probabilities: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over places with a known label of its negative log-probability, `[B]`; 0 where there is none.

    Args:
        log_probabilities: `[B, U, K]`.
        labels: `[B, U]`, below 0 where none is known.
        mask: which places are real, `[B, U]`; labels elsewhere are not read.
    """
    known = (labels >= 0) & mask
    found = log_probabilities.gather(-1, labels.clamp(min=0)[..., None]).squeeze(-1)
    return -torch.where(known, found, 0.0).sum(1) / known.sum(1).clamp(min=1)
