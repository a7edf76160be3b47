"""Answers about whole texts: one of several classes, or a score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from kselect.models.heads.answer import Answer, Choices, Head


@dataclass(frozen=True)
class ClassAnswer(Answer):
    """A softmax over K classes; labels are ids `[B]`."""

    choices_of: ClassVar[str | None] = "classes"
    logits: Tensor

    @cached_property
    def choices(self) -> Choices:
        """The scores of a single position, the text."""
        logits = self.logits.float()[:, None]
        return Choices(logits, torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device))

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return the labels, `[B, 1]`."""
        return labels[:, None]

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return `-log q(y)`, `[B]`."""
        return cross_entropy(self.logits.float(), labels, reduction="none")

    def predict(self) -> Tensor:
        """Return class ids, `[B]`."""
        return self.logits.argmax(-1)


@dataclass(frozen=True)
class ScoreAnswer(Answer):
    """A score, as the mean of a normal distribution; labels are scores `[B]`."""

    logits: Tensor

    @property
    def scores(self) -> Tensor:
        """The scores, `[B]` in float32."""
        return self.logits.float().squeeze(-1)

    @property
    def choices(self) -> Choices:
        """Not defined for a score."""
        raise TypeError("A score has no classes.")

    def right_choices(self, labels: Tensor) -> Tensor:
        """Not defined for a score."""
        raise TypeError("A score has no classes.")

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the squared error, `[B]`, in the square of the score's unit."""
        return mse_loss(self.scores, labels, reduction="none")

    def predict(self) -> Tensor:
        """Return the scores, `[B]`."""
        return self.scores


class Classes(Head):
    """A softmax over the logits of a classifier's output layer."""

    name: ClassVar[str] = "classes"

    def forward(self, output: Tensor, mask: Tensor | None) -> ClassAnswer:
        """Read logits `[B, K]`."""
        return ClassAnswer(output)


class Score(Head):
    """The output of a regression's output layer."""

    name: ClassVar[str] = "score"

    def forward(self, output: Tensor, mask: Tensor | None) -> ScoreAnswer:
        """Read logits `[B, 1]`."""
        return ScoreAnswer(output)
