"""Sets of labelled, non-overlapping spans, each scored by its first and last word (Yu et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from kselect.models.heads.answer import Answer, Choices, Head, per_word
from kselect.models.heads.biaffine import Biaffine
from kselect.structure import SpanSets

B, I, E, S = range(4)  # noqa: E741 (the letters of the scheme)


@dataclass(frozen=True)
class SpanAnswer(Answer):
    """A distribution over sets of labelled spans; labels are ids `[B, W]` of BIOES tags: O, then B, I, E, S by label.

    scores: of the span from a first word to a last under each of R labels, `[B, W, W, R]`. mask: `[B, W]`.
    """

    choices_of: ClassVar[str | None] = "spans"
    scores: Tensor
    mask: Tensor

    @cached_property
    def spans(self) -> SpanSets:
        """The distribution over span sets."""
        return self.at(1.0)

    def at(self, temperature: float) -> SpanSets:
        """Return the distribution whose scores are all divided by `temperature`."""
        return SpanSets(self.scores.float() / temperature, self.mask)

    @cached_property
    def choices(self) -> Choices:
        """One position per span, whose classes are no span and the labels, `[B, W * W, 1 + R]`."""
        scores = self.scores.float()
        spans = self.mask[:, :, None] & self.mask[:, None] & torch.ones_like(scores[0, ..., 0], dtype=torch.bool).triu()
        return Choices(torch.cat([torch.zeros_like(scores[..., :1]), scores], -1).flatten(1, 2), spans.flatten(1))

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return 0 for no span, or 1 + the label, `[B, W * W]`; -1 where a word is not known."""
        found = to_spans(labels, self.scores.size(-1))
        choices = torch.where(found.any(-1), found.int().argmax(-1) + 1, 0)
        return torch.where(_inside(self._unknown(labels, found)) > 0, -1, choices).flatten(1)

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the negative log-likelihood of gold spans over n, summed over all values of unknown words, `[B]`.

        Unknown words have a tag below 0, or tags that form no complete span, such as the ends of one that a cut
        divides.
        """
        found = to_spans(labels, self.scores.size(-1))
        unknown = self._unknown(labels, found)
        if not bool(unknown.any()):
            return per_word(-self.spans.log_prob(found), self.mask)
        scores = self.scores.float()
        places = torch.arange(labels.size(1), device=labels.device)
        free = _inside(unknown) == places - places[:, None] + 1
        rest = SpanSets(torch.where(free[..., None], scores, -torch.inf), self.mask).log_partition
        known = torch.where(found, scores, 0.0).sum((1, 2, 3))
        return per_word(self.spans.log_partition - known - rest, self.mask)

    def predict(self) -> Tensor:
        """Return the tag ids of the best span set, `[B, W]`."""
        return to_tags(self.spans.argmax)

    def _unknown(self, labels: Tensor, found: Tensor) -> Tensor:
        """Return which words are unknown, `[B, W]`, given the spans in their tags, `[B, W, W, R]`."""
        spans = found.any(-1)
        first, last = spans.any(2).int(), spans.any(1).int()
        covered = first.cumsum(1) - last.cumsum(1) + last > 0
        return (labels != 0) & ~covered & self.mask


def _inside(words: Tensor) -> Tensor:
    """Return the number of the given words, `[B, W]`, in each span from a first word to a last, `[B, W, W]`."""
    count = words.int().cumsum(1)
    return count[:, None] - (count - words.int())[:, :, None]


def to_spans(tags: Tensor, labels: int) -> Tensor:
    """Return the complete spans in BIOES tag ids `[B, W]`, `[B, W, W, R]`."""
    width = tags.size(1)
    letter, label = (tags - 1).clamp(min=0) % 4, (tags - 1).clamp(min=0) // 4
    inside = tags > 0
    places = torch.arange(width, device=tags.device)
    ends = torch.where(inside & (letter == E), places, width)
    next_end = ends.flip(1).cummin(1).values.flip(1)
    last = torch.where(letter == S, places, next_end)
    begins = inside & ((letter == S) | (letter == B)) & (last < width)
    places = last.clamp(max=width - 1) * labels + label  # of a span's last word and label, seen from its first
    found = torch.zeros(*tags.shape, width * labels, dtype=torch.bool, device=tags.device)
    return found.scatter(2, places[..., None], begins[..., None]).unflatten(2, (width, labels))


def to_tags(spans: Tensor) -> Tensor:
    """Return the BIOES tag ids `[B, W]` of non-overlapping spans `[B, W, W, R]`."""
    single = spans.diagonal(dim1=1, dim2=2).transpose(1, 2)
    first, last = (spans.any(2) & ~single).int(), (spans.any(1) & ~single).int()
    inside = first.cumsum(1) - first - last.cumsum(1)
    ids = torch.stack([first, inside, last, single.int()], -1).flatten(2)  # B, I, E and S of each label in turn
    return torch.where(ids.any(-1), ids.argmax(-1) + 1, 0)


class Spans(Head):
    """A biaffine score for each label of each span, from the hidden states of its first and last word."""

    name: ClassVar[str] = "spans"

    def __init__(self, width: int, labels: int, size: int = 128) -> None:
        """Read states of `width` through layers of `size`."""
        super().__init__()
        self.sizes = {"width": width, "labels": labels, "size": size}
        self.score = Biaffine(width, width, labels, size)

    def forward(self, output: Tensor, mask: Tensor | None) -> SpanAnswer:
        """Read hidden states `[B, W, D]`."""
        assert mask is not None
        return SpanAnswer(self.score(output, output), mask)
