"""Constant predictions: the row of a table that any model has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kselect.tasks.words.schemes import OUTSIDE, PLAIN
from kselect.tasks.words.sentence import ParsedSentence, TaggedSentence
from kselect.tasks.words.trees import ROOT_RELATION


def constant_tag(train: Iterable[TaggedSentence], scheme: str) -> str:
    """Return the one tag for every word: O in a scheme, where it finds no span; train's most frequent plain one."""
    if scheme != PLAIN:
        return OUTSIDE
    return _most_frequent(tag for sentence in train for tag in sentence.tags)


@dataclass(frozen=True)
class ConstantTree:
    """Every word hangs from its neighbour on one side under one relation, and the word without one from the root.

    No other constant offset of heads makes a tree with one root of every sentence.
    """

    offset: int
    """-1: the head is the word before; 1: the word after."""
    relation: str

    @classmethod
    def of(cls, train: Sequence[ParsedSentence]) -> ConstantTree:
        """Take the side where train's words have their heads more often (as often: before), and what they then are."""
        arcs = Counter(
            (head - i, relation)
            for sentence in train
            for i, (head, relation) in enumerate(zip(sentence.heads, sentence.relations, strict=True), start=1)
            if head != 0 and abs(head - i) == 1
        )
        sides = {side: sum(n for (offset, _), n in arcs.items() if offset == side) for side in (-1, 1)}
        offset = max(sides, key=lambda side: sides[side])
        relations = Counter({relation: n for (side, relation), n in arcs.items() if side == offset})
        return cls(offset, min(relations, key=lambda relation: (-relations[relation], relation), default=ROOT_RELATION))

    def parse(self, length: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return heads and relations, `[length]` each."""
        heads = tuple((i + self.offset) % (length + 1) for i in range(1, length + 1))
        return heads, tuple(self.relation if head else ROOT_RELATION for head in heads)


def _most_frequent(names: Iterable[str]) -> str:
    """Return the name met most often; of several, the first in their order."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))
