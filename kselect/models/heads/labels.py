"""Answers about whole texts that have any number of labels: each label is right or wrong by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from kselect.models.heads.answer import Answer, Choices, Head, known_mean


@dataclass(frozen=True)
class LabelsAnswer(Answer):
    """K independent Bernoulli distributions, with logits `[B, K]`; labels are 0, 1, or below 0 if unknown, `[B, K]`."""

    choices_of: ClassVar[str | None] = "labels"
    logits: Tensor

    @cached_property
    def choices(self) -> Choices:
        """A position for each label, with two classes: absent, at score 0, and present, at its logit."""
        logits = self.logits.float()
        scores = torch.stack([torch.zeros_like(logits), logits], dim=-1)
        return Choices(scores, torch.ones_like(logits, dtype=torch.bool))

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return the labels, `[B, K]`."""
        return labels

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the binary cross-entropy, a mean over the labels, `[B]`."""
        return known_mean(self.choices.log_probabilities(), labels, self.choices.mask)

    def predict(self) -> Tensor:
        """Return 1 for each label that is more probable than not, `[B, K]`."""
        return (self.logits > 0).long()


class Labels(Head):
    """A sigmoid of each logit of a classifier's output layer."""

    name: ClassVar[str] = "labels"

    def forward(self, output: Tensor, mask: Tensor | None) -> LabelsAnswer:
        """Read logits `[B, K]`."""
        return LabelsAnswer(output)
