"""A linear-chain CRF over the tags of a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from kselect.models.heads.answer import Answer, Choices, Head, per_word
from kselect.structure import LinearChain


@dataclass(frozen=True)
class ChainAnswer(Answer):
    """A linear chain over K tags; labels are ids `[B, W]`, below 0 where none is known.

    emissions: `[B, W, K]`. transitions: `[K, K]`, from the first axis to the second. start, end: `[K]`. mask: `[B, W]`.
    """

    choices_of: ClassVar[str | None] = "tags"
    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    mask: Tensor

    @cached_property
    def chain(self) -> LinearChain:
        """The distribution over tag sequences."""
        return self.at(1.0)

    def at(self, temperature: float) -> LinearChain:
        """Return the distribution whose scores are all divided by `temperature`."""
        return self._chain(self.emissions.float(), temperature)

    @cached_property
    def choices(self) -> Choices:
        """The emissions, word by word."""
        return Choices(self.emissions.float(), self.mask)

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return the labels, `[B, W]`."""
        return labels

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the negative log-likelihood of the known tags, summed over all others and divided by n, `[B]`."""
        unknown = (labels < 0) & self.mask
        if not bool(unknown.any()):
            return per_word(-self.chain.log_prob(labels), self.mask)
        gold = torch.nn.functional.one_hot(labels.clamp(min=0), self.emissions.size(-1)).bool()
        allowed = torch.where(gold | unknown[..., None], self.emissions.float(), -torch.inf)
        log_likelihood = self._chain(allowed, 1.0).log_partition - self.chain.log_partition
        return per_word(-log_likelihood, self.mask)

    def predict(self) -> Tensor:
        """Return the best sequence's tag ids, `[B, W]`."""
        return self.chain.argmax

    def _chain(self, emissions: Tensor, temperature: float) -> LinearChain:
        scores = (emissions, self.transitions, self.start, self.end)
        tempered, between, start, end = (score.float() / temperature for score in scores)
        return LinearChain(tempered, between, self.mask, start, end)


class Crf(Head):
    """Learned transition, start and end scores, on top of a token classifier's logits as emissions."""

    name: ClassVar[str] = "crf"

    def __init__(self, tags: int) -> None:
        """Initialise all transitions alike."""
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))

    def forward(self, output: Tensor, mask: Tensor | None) -> ChainAnswer:
        """Read logits `[B, W, K]`."""
        assert mask is not None
        return ChainAnswer(output, self.transitions, self.start, self.end, mask)
