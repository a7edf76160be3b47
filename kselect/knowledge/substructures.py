"""Knowledge in substructure scores: squared distances, without inference."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from kselect.errors import IncomparableError, KselectError
from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads.answer import Answer, per_word
from kselect.models.heads.crf import ChainAnswer
from kselect.models.heads.parser import TreeAnswer
from kselect.models.heads.spans import SpanAnswer
from kselect.models.outputs import ModelOutputs

COMPARABLE_HEADS = (("tagger", "crf"), ("spans",), ("parser", "second-order-parser"), ("tree-tagger",))
"""Groups of heads that score the same substructures."""


class Substructures(Knowledge):
    """Squared distance of substructure scores, without inference.

    A mean over words and what is scored at each word: tags (with `transitions`, pairs of neighbouring tags), heads and
    relations; for spans, a mean over spans and labels. A constant added to all scores of a word, which a softmax or
    partition function ignores, is subtracted first: it carries no knowledge and would only add noise. Scores of pairs
    of arcs are not compared.

    Source: Lin et al. (2022).
    """

    name: ClassVar[str] = "substructures"
    scale: float | None = None

    def __init__(self, teacher: str, student: str, transitions: bool = False) -> None:
        """Compare the scores of two heads.

        Args:
            teacher: name of the teacher's head.
            student: name of the student's head.
            transitions: whether to compare pairs of tags of two chains, instead of single tags.
        """
        if not any(teacher in heads and student in heads for heads in COMPARABLE_HEADS):
            groups = "; ".join(", ".join(heads) for heads in COMPARABLE_HEADS)
            raise IncomparableError(
                f"knowledge substructures cannot compare the scores of a teacher's {teacher} with those of a student's "
                f"{student}",
                f"use heads of one group ({groups}).",
            )
        if transitions and not teacher == student == "crf":
            raise KselectError(
                "transitions are scored only by the crf head: use it for both models, or leave transitions out.",
                setting="transitions",
            )
        self.transitions = transitions

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the distance of each example, `[B]`."""
        assert teacher is not None
        scores, target = student.answer, teacher.answer
        if self.transitions:
            assert isinstance(scores, ChainAnswer)
            assert isinstance(target, ChainAnswer)
            return _tag_pair_distance(scores, target)
        if isinstance(scores, TreeAnswer):
            assert isinstance(target, TreeAnswer)
            return _arc_distance(scores, target)
        if isinstance(scores, SpanAnswer):  # the empty set of spans scores 0, so there is no free constant
            difference = _difference(scores, target)[..., 1:].square().mean(-1)
            spans = scores.choices.mask
            return torch.where(spans, difference, 0.0).sum(1) / spans.sum(1).clamp(min=1)
        possible = scores.choices.possible
        count = possible.sum(-1).clamp(min=1)
        difference = _centred(_difference(scores, target), possible, count)
        return scores.choices.mean(difference.square().sum(-1) / count)


def _tag_pair_distance(student: ChainAnswer, teacher: ChainAnswer) -> Tensor:
    """Return the mean over words and pairs of tags of the squared distance of emission + transition scores, `[B]`.

    The score of a pair is the emission of its second tag plus the transition to it, or the start score for a first
    word; the end score is added to the last word. No table `[K, K]` per word is materialised: both terms are centred,
    and their squares and product are summed separately.
    """
    emissions = _difference(student, teacher)
    real = student.mask
    last = real.sum(1) - 1
    ends = torch.zeros_like(emissions).index_put(
        (torch.arange(len(real), device=real.device), last.clamp(min=0)),
        (student.end - teacher.end).float().expand(len(real), -1),
    )
    emissions = emissions + ends
    start = (student.start - teacher.start).float()
    first = (emissions[:, 0] + start).var(-1, correction=0)
    transitions = (student.transitions - teacher.transitions).float()
    transitions = transitions - transitions.mean()
    later = emissions[:, 1:] - emissions[:, 1:].mean(-1, keepdim=True)
    squares = later.square().mean(-1) + transitions.square().mean() + 2 * (later * transitions.mean(0)).mean(-1)
    return per_word(first + torch.where(real[:, 1:], squares, 0.0).sum(1), real)


def _arc_distance(student: TreeAnswer, teacher: TreeAnswer) -> Tensor:
    """Return the mean over words of the squared distance of the scores of heads and of relations to them, `[B]`."""
    possible, real = student.possible, student.mask
    count = possible.sum(-1)
    arcs = _centred((student.arcs - teacher.arcs).float(), possible, count)
    relations = (student.relations - teacher.relations).float().var(-1, correction=0)
    by_word = (arcs.square() + torch.where(possible, relations, 0.0)).sum(-1) / count
    return per_word(torch.where(real, by_word, 0.0).sum(1), real)


def _difference(student: Answer, teacher: Answer) -> Tensor:
    return student.choices.scores - teacher.choices.scores


def _centred(values: Tensor, possible: Tensor, count: Tensor) -> Tensor:
    """Subtract from `values [..., K]` the mean of the possible ones, `count [...]` of them; 0 for the others."""
    mean = torch.where(possible, values, 0.0).sum(-1) / count
    return torch.where(possible, values - mean[..., None], 0.0)
