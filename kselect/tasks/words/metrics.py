"""Scores of taggings and dependency trees, each in [0, 1], over all words or spans of all sentences at once (micro).

Every score is defined for constant predictions: without a hit, precision, recall and F1 are 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kselect.tasks.words.conllu import ROOT_RELATION, universal
from kselect.tasks.words.schemes import OUTSIDE, PLAIN
from kselect.tasks.words.sentence import ParsedSentence, TaggedSentence

Tags = Sequence[Sequence[str]]
"""Tags of each sentence, `[n]` each."""


def tag_scores(predicted: Tags, gold: Tags, scheme: str) -> dict[str, float]:
    """Return "accuracy" over words and, but for plain tags, "precision", "recall" and "f1" over spans.

    Both sides are in the one scheme; see `span_scores`. Raises `ValueError` for sides that differ in length, or are
    empty.
    """
    return {**({} if scheme == PLAIN else span_scores(predicted, gold, scheme)), "accuracy": accuracy(predicted, gold)}


def accuracy(predicted: Tags, gold: Tags) -> float:
    """Return the share of words with the right tag; raises `ValueError` as `tag_scores` does."""
    _check(predicted, gold)
    return _share(p == g for ps, gs in zip(predicted, gold, strict=True) for p, g in zip(ps, gs, strict=True))


def span_scores(predicted: Tags, gold: Tags, scheme: str) -> dict[str, float]:
    """Return "precision", "recall" and "f1" over labelled spans, by seqeval in its strict mode.

    A predicted span is right where a gold one has the same first word, last word and label. In the strict mode a span
    is what the scheme has as one: predicted words that are impossible in it (I-X after O in IOB2, B-X without E-X in
    BIOES) are none, where conlleval repairs them; convert(tags, scheme) before scoring gives conlleval's number.

    Raises `ValueError` as `tag_scores` does, and for plain tags.
    """
    precision, recall, f1, _ = _by_seqeval(predicted, gold, scheme, "micro")
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}


def span_scores_by_label(predicted: Tags, gold: Tags, scheme: str) -> dict[str, tuple[float, float, float, int]]:
    """Return precision, recall, F1 and the number of gold spans of each label that occurs; see `span_scores`."""
    from seqeval import scheme as seqeval_schemes

    reader = getattr(seqeval_schemes, SEQEVAL_SCHEMES[scheme])
    sides = [seqeval_schemes.Entities([list(tags) for tags in side], reader) for side in (predicted, gold)]
    labels = sorted({entity.tag for side in sides for sentence in side.entities for entity in sentence})
    if not labels:
        return {}
    rows = zip(*_by_seqeval(predicted, gold, scheme, None), strict=True)
    return {label: (float(p), float(r), float(f), int(n)) for label, (p, r, f, n) in zip(labels, rows, strict=True)}


SEQEVAL_SCHEMES = {"iob1": "IOB1", "iob2": "IOB2", "bioes": "IOBES", "bilou": "BILOU"}
"""Schemes that seqeval reads, by its names."""


def _by_seqeval(predicted: Tags, gold: Tags, scheme: str, average: str | None) -> Any:
    from seqeval import scheme as seqeval_schemes
    from seqeval.metrics.v1 import precision_recall_fscore_support

    _check(predicted, gold)
    if scheme not in SEQEVAL_SCHEMES:
        raise ValueError(f"Tags in the scheme '{scheme}' spell no spans.")
    return precision_recall_fscore_support(
        [list(tags) for tags in gold],
        [list(tags) for tags in predicted],
        average=average,
        scheme=getattr(seqeval_schemes, SEQEVAL_SCHEMES[scheme]),
        zero_division=0,
    )


def tree_scores(
    heads: Sequence[Sequence[int]], relations: Sequence[Sequence[str]], gold: Sequence[ParsedSentence]
) -> dict[str, float]:
    """Return "uas" and "las", the shares of words with the right head, and with the right head and relation.

    As in the CoNLL 2018 shared task's evaluation on gold words: all words count, punctuation too, and relations are
    compared by the part before the colon.

    Args:
        heads: predicted, from 1 and 0 for the root, `[n]` for each sentence.
        relations: predicted, `[n]` for each sentence.
        gold: the sentences with their trees.

    Raises:
        ValueError: sides that differ in length, or are empty.
    """
    _check(heads, gold)
    _check(relations, gold)
    rows = [
        (head == gold_head, universal(relation) == universal(gold_relation))
        for ours, names, s in zip(heads, relations, gold, strict=True)
        for head, relation, gold_head, gold_relation in zip(ours, names, s.heads, s.relations, strict=True)
    ]
    return {"uas": _share(head for head, _ in rows), "las": _share(head and relation for head, relation in rows)}


def _check(predicted: Sequence[Sequence[object]], gold: Sequence[Sequence[object] | ParsedSentence]) -> None:
    if not gold or [len(tags) for tags in predicted] != [len(tags) for tags in gold]:
        raise ValueError(f"{len(predicted)} predicted sentences and {len(gold)} gold ones: give words alike, and some.")


def _share(hits: Iterable[bool]) -> float:
    hits = list(hits)
    return sum(hits) / len(hits)


def constant_tag(train: Iterable[TaggedSentence], scheme: str) -> str:
    """Return the constant tag: O in a scheme, where no span is found; otherwise train's most frequent one."""
    if scheme != PLAIN:
        return OUTSIDE
    return _most_frequent(tag for sentence in train for tag in sentence.tags)


@dataclass(frozen=True)
class ConstantTree:
    """Every word depends on its neighbour on one side under one relation, and the word without one on the root.

    No other constant offset of heads makes a tree with one root of every sentence.
    """

    offset: int
    """-1: the head is the word before; 1: the word after."""
    relation: str

    @classmethod
    def of(cls, train: Sequence[ParsedSentence]) -> ConstantTree:
        """Choose the side on which most of train's words have their heads (ties: before), and the relations there."""
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
    """Return the most frequent name (ties: the first in their order)."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))
