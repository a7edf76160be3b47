"""Dependency parsing as tagging: a tag has the relative position of a word's head, and the relation to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from kselect.errors import KselectError
from kselect.models.heads.answer import IMPOSSIBLE, Answer, Choices, Head, known_mean
from kselect.models.heads.relations import best_relations, root_relation
from kselect.structure import NonProjectiveTrees
from kselect.tasks.words.sentence import ParsedSentence

ROOT = "root"
SEPARATOR = "_"
OFFSET = re.compile(rf"-?[1-9][0-9]{{0,8}}|{ROOT}")


@dataclass(frozen=True)
class ArcTags:
    """Tags such as `-2_nsubj`, whose head is two words before, or `root_root`, whose head is the root."""

    offsets: tuple[int, ...]
    """Position of each tag's head relative to the word; 0 for the root."""
    relations: tuple[str, ...]
    """Relation of each tag."""

    @staticmethod
    def of(train: Iterable[ParsedSentence], least: int = 1) -> ArcTags:
        """Collect the tags that occur at least `least` times in training."""
        counts = Counter(
            (head - i if head else 0, relation)
            for sentence in train
            for i, (head, relation) in enumerate(zip(sentence.heads, sentence.relations, strict=True), start=1)
        )
        kept = sorted(tag for tag, count in counts.items() if count >= least)
        return ArcTags(tuple(offset for offset, _ in kept), tuple(relation for _, relation in kept))

    @staticmethod
    def named(names: Sequence[str]) -> ArcTags:
        """Parse the names of tags.

        Raises:
            KselectError: a name that is not of an arc, or no names.
        """
        pairs = [name.partition(SEPARATOR)[::2] for name in names]
        wrong = [name for name, (offset, _) in zip(names, pairs, strict=True) if not OFFSET.fullmatch(offset)]
        if wrong or not names:
            shown = f"'{wrong[0]}' is not a tag of an arc" if wrong else "There are no tags of arcs"
            raise KselectError(f"{shown}, such as '-2_nsubj' and 'root_root': give a model with the head tree-tagger.")
        offsets = (0 if offset == ROOT else int(offset) for offset, _ in pairs)
        return ArcTags(tuple(offsets), tuple(relation for _, relation in pairs))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tags."""
        pairs = zip(self.offsets, self.relations, strict=True)
        return tuple(f"{offset or ROOT}{SEPARATOR}{relation}" for offset, relation in pairs)

    def __len__(self) -> int:
        """Number of tags."""
        return len(self.offsets)


@dataclass(frozen=True)
class ArcTagAnswer(Answer):
    """A softmax over K tags for each of W words, each of which names a head and a relation.

    Labels are heads and relation ids, `[B, W, 2]`, below 0 where none is known. logits: `[B, W, K]`. mask: `[B, W]`.
    offsets: `[K]`, 0 for the root. relations: ids of tags' relations, `[K]`. root_relation: id of the relation that is
    predicted to the root alone, see `best_relations`.
    """

    choices_of: ClassVar[str | None] = "arc tags"
    logits: Tensor
    mask: Tensor
    offsets: Tensor
    relations: Tensor
    root_relation: int | None = None

    @cached_property
    def heads(self) -> Tensor:
        """The head that each tag names, `[W, K]`, from 1 and 0 for the root; below 0 where it is none."""
        words = torch.arange(1, self.mask.size(1) + 1, device=self.mask.device)[:, None]
        heads = torch.where(self.offsets == 0, 0, words + self.offsets)
        return torch.where((heads > 0) | (self.offsets == 0), heads, -1)

    @cached_property
    def possible(self) -> Tensor:
        """Which tags have a head within the sentence, `[B, W, K]`; all tags in padding."""
        lengths = self.mask.sum(1)[:, None, None]
        return ((self.heads >= 0) & (self.heads <= lengths)) | ~self.mask[..., None]

    @cached_property
    def choices(self) -> Choices:
        """One position per word."""
        return Choices(self.logits.float().masked_fill(~self.possible, IMPOSSIBLE), self.mask)

    def right_choices(self, labels: Tensor) -> Tensor:
        """Return the tag of head and relation, `[B, W]`; -1 where there is no such tag."""
        heads, relations = labels.unbind(-1)
        words = torch.arange(1, labels.size(1) + 1, device=labels.device)
        offsets = torch.where(heads == 0, 0, heads - words)
        found = (self.offsets == offsets[..., None]) & (self.relations == relations[..., None])
        known = (heads >= 0) & (relations >= 0) & found.any(-1)
        return torch.where(known, found.int().argmax(-1), -1)

    def gold_loss(self, labels: Tensor) -> Tensor:
        """Return the mean of `-log q(tag)` over the words with a known tag, `[B]`."""
        return known_mean(self.choices.log_probabilities(), self.right_choices(labels), self.mask)

    @cached_property
    def trees(self) -> NonProjectiveTrees:
        """The distribution over trees in which the score of an arc is the log of the total probability of its tags."""
        probabilities = self.choices.log_probabilities().exp()
        count, width = self.mask.shape
        at = self.heads.clamp(min=0, max=width).expand_as(probabilities)
        arcs = probabilities.new_zeros(count, width, 1 + width).scatter_add(2, at, probabilities)
        return NonProjectiveTrees(arcs.clamp(min=1e-30).log(), self.mask)

    def predict(self) -> Tensor:
        """Return the most probable tree's heads, and the best relation to each, `[B, W, 2]`.

        If no tag has a relation at that distance, the word's most probable relation at any distance is taken.
        """
        probabilities = self.choices.log_probabilities().exp()
        count, width = self.mask.shape
        heads = self.trees.argmax
        there = torch.where(self.heads == heads[..., None], probabilities, probabilities * 1e-30)
        by_relation = probabilities.new_zeros(count, width, int(self.relations.max()) + 1)
        by_relation = by_relation.scatter_add(2, self.relations.expand_as(there), there)
        return torch.stack([heads, best_relations(by_relation, heads, self.root_relation)], -1)

    def of_arcs(self, marginals: Tensor, relations: Tensor) -> Tensor:
        """Return the log-probabilities of tags under probabilities of arcs and relations, `[B, W, K]`.

        The probability of arcs without a tag is distributed over the others in proportion.

        Args:
            marginals: of each head of each word, `[B, W, 1 + W]`.
            relations: log-probability of each relation, given the head, `[B, W, 1 + W, R]`.
        """
        at = self.heads.clamp(min=0, max=self.mask.size(1)).expand_as(self.logits)
        arcs = marginals.clamp(min=1e-30).log().gather(2, at)
        rows = at * relations.size(-1) + self.relations
        of_relations = relations.flatten(2).gather(2, rows)
        return torch.log_softmax((arcs + of_relations).masked_fill(~self.possible, IMPOSSIBLE), -1)


class TreeTagger(Head):
    """The logits of a token classifier's output layer, read as arcs; its labels are the names of `ArcTags`."""

    name: ClassVar[str] = "tree-tagger"

    def __init__(self, tags: ArcTags, relations: Sequence[str]) -> None:
        """Read `tags`, and number relations by their position in `relations`.

        Raises:
            KselectError: a tag with another relation.
        """
        super().__init__()
        unknown = sorted(set(tags.relations) - set(relations))
        if unknown:
            raise KselectError(
                f"The tag of an arc has the relation '{unknown[0]}', which is none of {', '.join(relations)}: give a "
                "model that was trained on these relations."
            )
        self.tags = tags
        self.root_relation = root_relation(relations)
        ids = {relation: i for i, relation in enumerate(relations)}
        self.register_buffer("offsets", torch.tensor(tags.offsets), persistent=False)
        self.register_buffer("relations", torch.tensor([ids[name] for name in tags.relations]), persistent=False)

    def forward(self, output: Tensor, mask: Tensor | None) -> ArcTagAnswer:
        """Read logits `[B, W, K]`."""
        assert mask is not None
        return ArcTagAnswer(output, mask, self.get_buffer("offsets"), self.get_buffer("relations"), self.root_relation)
