"""The teacher's scores of local sub-structures."""

from __future__ import annotations

from collections.abc import Sequence
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

ALIKE = (("tagger", "crf"), ("spans",), ("parser", "second-order-parser"), ("tree-tagger",))
"""Heads that score the same sub-structures."""


class Substructures(Knowledge):
    """Squared distance of scores, sub-structure by sub-structure, without inference (Lin et al. 2022).

    A mean over words and what is scored at each: tags (of a chain, with `transitions`, pairs of neighbouring tags);
    heads, and relations to them; of spans, a mean over them and their labels. What a softmax or a partition function
    does not see, a constant added to all scores of a word, is taken off first: it could not be learned, and would only
    disturb. Scores of pairs of arcs are not compared.
    """

    name: ClassVar[str] = "substructures"
    scale: float | None = None

    def __init__(self, teacher: str, student: str, transitions: bool = False) -> None:
        """Compare what two heads, given by their names, score; with `transitions`, two chains' tags pair by pair.

        Raises:
            IncomparableError: heads that score unlike things.
            KselectError: transitions of a head that has none.
        """
        if not any(teacher in heads and student in heads for heads in ALIKE):
            groups = "; ".join(", ".join(heads) for heads in ALIKE)
            raise IncomparableError(
                f"knowledge substructures cannot compare the scores of a teacher's {teacher} with those of a student's "
                f"{student}",
                f"give both a head of one group ({groups}).",
            )
        if transitions and not teacher == student == "crf":
            raise KselectError(
                "transitions are scored by the crf head alone: give it to both models, or leave them out."
            )
        self.transitions = transitions

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the distance of each example, `[B]`."""
        assert teacher is not None
        ours, theirs = student.answer, teacher.answer
        if self.transitions:
            assert isinstance(ours, ChainAnswer)
            assert isinstance(theirs, ChainAnswer)
            return _pairs(ours, theirs)
        if isinstance(ours, TreeAnswer):
            assert isinstance(theirs, TreeAnswer)
            return _arcs(ours, theirs)
        if isinstance(ours, SpanAnswer):  # no span at all scores 0, so that nothing is free
            places = ours.choices.mask
            difference = ours.choices.scores - theirs.choices.scores
            return _mean(difference[..., 1:].square().mean(-1), places)
        possible = ours.choices.possible
        count = possible.sum(-1).clamp(min=1)
        difference = _centred(_difference(ours, theirs), possible, count)
        return ours.choices.mean(difference.square().sum(-1) / count)


def _difference(ours: Answer, theirs: Answer) -> Tensor:
    return ours.choices.scores - theirs.choices.scores


def _centred(values: Tensor, possible: Tensor, count: Tensor) -> Tensor:
    """Return `values [..., K]` less the mean of those that are possible, `count [...]` of them; 0 for the others."""
    mean = torch.where(possible, values, 0.0).sum(-1) / count
    return torch.where(possible, values - mean[..., None], 0.0)


def _mean(values: Tensor, places: Tensor) -> Tensor:
    return torch.where(places, values, 0.0).sum(1) / places.sum(1).clamp(min=1)


def _pairs(ours: ChainAnswer, theirs: ChainAnswer) -> Tensor:
    """Return the mean over words and pairs of tags of the squared distance of emission + transition scores, `[B]`.

    A pair's score is that of its second tag and of the transition to it, from the start score for a first word; the
    end score is the last word's. The table `[K, K]` of each word is never made: both parts are centred, and their
    squares and product are summed apart.
    """
    emissions = _difference(ours, theirs)
    real = ours.mask
    last = real.sum(1) - 1
    ends = torch.zeros_like(emissions).index_put(
        (torch.arange(len(real), device=real.device), last.clamp(min=0)),
        (ours.end - theirs.end).float().expand(len(real), -1),
    )
    emissions = emissions + ends
    start = (ours.start - theirs.start).float()
    first = (emissions[:, 0] + start).var(-1, correction=0)
    between = (ours.transitions - theirs.transitions).float()
    between = between - between.mean()
    later = emissions[:, 1:] - emissions[:, 1:].mean(-1, keepdim=True)
    squares = later.square().mean(-1) + between.square().mean() + 2 * (later * between.mean(0)).mean(-1)
    return per_word(first + torch.where(real[:, 1:], squares, 0.0).sum(1), real)


def _arcs(ours: TreeAnswer, theirs: TreeAnswer) -> Tensor:
    """Return the mean over words of the squared distance of their heads' scores and of relations to them, `[B]`."""
    possible, real = ours.possible, ours.mask
    count = possible.sum(-1)
    arcs = _centred((ours.arcs - theirs.arcs).float(), possible, count)
    relations = (ours.relations - theirs.relations).float().var(-1, correction=0)
    by_word = (arcs.square() + torch.where(possible, relations, 0.0)).sum(-1) / count
    return per_word(torch.where(real, by_word, 0.0).sum(1), real)


class BestSequences(Knowledge):
    """Negative log-likelihood of the teacher's k best tag sequences, a weighted mean over them, in nats a word.

    Top-k distillation in the form of Lin et al. 2022, with weights 1, 0.1 and 0.1.
    """

    name: ClassVar[str] = "best-sequences"

    def __init__(self, teacher: str, student: str, weights: Sequence[float] = (1.0, 0.1, 0.1)) -> None:
        """Learn so many sequences of a chain as there are weights.

        Raises:
            KselectError: the teacher has no chain, or the student does not tag words.
        """
        if teacher != "crf" or student not in ("tagger", "crf"):
            raise KselectError(
                f"knowledge best-sequences leads from a teacher's crf to a student's crf or tagger, not from {teacher} "
                f"to {student}: leave it out."
            )
        self.weights = tuple(weights)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the weighted mean of each example, `[B]`; sequences that a short sentence does not have are none."""
        assert teacher is not None
        assert isinstance(teacher.answer, ChainAnswer)
        with torch.no_grad():
            sequences, scores = teacher.answer.chain.best(len(self.weights))
        weights = torch.tensor(self.weights, device=scores.device) * (scores > -torch.inf)
        losses = [student.answer.gold_loss(sequence) for sequence in sequences.unbind(1)]
        return (torch.stack(losses, 1) * weights).sum(1) / weights.sum(1).clamp(min=1e-30)
