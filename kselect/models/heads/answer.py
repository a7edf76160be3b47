"""Answers of a model: distributions over classes, scores, tags, spans or trees."""

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
    """Scores of K classes at each of U positions of B examples, where exactly one class is right at each position.

    scores is `[B, U, K]` in float32, `IMPOSSIBLE` for impossible classes, whose softmax is 0. mask is `[B, U]`, True at
    real positions. A text that is classified as a whole has one position.
    """

    scores: Tensor
    mask: Tensor

    def log_probabilities(self, temperature: float = 1.0) -> Tensor:
        """Return the log-softmax of the scores over `temperature`, `[B, U, K]`."""
        return torch.log_softmax(self.scores / temperature, dim=-1)

    @cached_property
    def detached(self) -> Tensor:
        """The log-softmax of the scores, `[B, U, K]`, detached from the graph."""
        return torch.log_softmax(self.scores.detach(), dim=-1)

    @cached_property
    def possible(self) -> Tensor:
        """Which classes are possible at each position, `[B, U, K]`."""
        return self.scores > IMPOSSIBLE / 2

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `values [B, U]` over the real positions of each example, `[B]`; 0 where there is none."""
        return torch.where(self.mask, values, 0.0).sum(1) / self.mask.sum(1).clamp(min=1)

    @property
    def entropy(self) -> Tensor:
        """Entropy divided by log K at each position, `[B, U]` in [0, 1]; detached from the graph.

        K counts possible classes only, so that the amount of padding has no effect.
        """
        scores = self.scores.detach()
        possible = torch.count_nonzero(self.possible, dim=-1).clamp(min=2)
        entropy = -(torch.softmax(scores, -1) * self.detached).sum(-1)
        return entropy / possible.log()

    @property
    def uncertainty(self) -> Tensor:
        """Entropy divided by log K, averaged over real positions, `[B]` in [0, 1]; detached from the graph."""
        return self.mean(self.entropy)


class Answer(ABC):
    """A distribution over the possible answers to each of B examples."""

    choices_of: ClassVar[str | None] = None
    """What the classes of a position are, such as "tags"; None for a regression."""

    @property
    @abstractmethod
    def choices(self) -> Choices:
        """The scores that the answer is made of, position by position, ignoring constraints between positions."""

    @abstractmethod
    def right_choices(self, labels: Tensor) -> Tensor:
        """Return the gold class at each position, `[B, U]`; below 0 where it is unknown."""

    @abstractmethod
    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the negative log-likelihood of gold labels for each example, `[B]` in nats.

        That of an example of n words is divided by n, so that long sentences weigh no more than others.
        """

    @abstractmethod
    def predict(self) -> Tensor:
        """Return the most probable answer to each example, in the format of labels."""


class Head(nn.Module, ABC):
    """Turns the output of a transformer into an answer; its weights are trained along with the model."""

    name: ClassVar[str]
    sizes: Mapping[str, int] = {}
    """Sizes of its layers, by the name of the argument."""

    @abstractmethod
    def forward(self, output: Tensor, mask: Tensor | None) -> Answer:
        """Return the answer for the output of the transformer.

        Args:
            output: logits `[B, K]`; of words, logits `[B, W, K]` or hidden states `[B, W, D]`.
            mask: which words are real, `[B, W]`; None where texts are read as a whole.
        """


IMPOSSIBLE = -1e9
"""Score of an impossible class; finite, so that its product with a probability of 0 is 0."""


def per_word(values: Tensor, mask: Tensor) -> Tensor:
    """Divide sums over the words of each sentence, `[B]`, by the number of words, from `mask [B, W]`."""
    return values / mask.sum(1).clamp(min=1)


def known_mean(log_probabilities: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over positions with a known label of its negative log-probability, `[B]`; 0 where there is none.

    Args:
        log_probabilities: `[B, U, K]`.
        labels: `[B, U]`, below 0 where none is known.
        mask: which positions are real, `[B, U]`; labels elsewhere are not read.
    """
    known = (labels >= 0) & mask
    found = log_probabilities.gather(-1, labels.clamp(min=0)[..., None]).squeeze(-1)
    return -torch.where(known, found, 0.0).sum(1) / known.sum(1).clamp(min=1)
