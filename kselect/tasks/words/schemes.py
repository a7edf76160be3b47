"""Tagging schemes: how tags of single words spell labelled spans.

| scheme | a span of two words and more | of one word |
|---|---|---|
| iob1 | I ... I | I; the first is B where a span of the same label ends just before |
| iob2 | B I ... I | B |
| bioes | B I ... E | S |
| bilou | B I ... L | U |
| bmes | B M ... E | S |
| bmewo | B M ... E | W |

A tag is "O", outside of every span, or such a letter with "-" and the span's label, or a bare letter where spans have
no label. Models predict in the first four; files in the last two are read as BIOES, and predictions written back alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from kselect.errors import KselectError, unknown
from kselect.tasks.splits import UNLABELLED
from kselect.tasks.words.sentence import TaggedSentence

OUTSIDE = "O"
PLAIN = "plain"
"""Tags that spell no spans, such as parts of speech."""
TAG = re.compile(r"([BIESLUMW])(?:-(.+))?", re.DOTALL)


class Letters(NamedTuple):
    """The letters of a span's words, by their place in it."""

    begin: str
    inside: str
    end: str
    single: str


SCHEMES = {
    "iob2": Letters("B", "I", "I", "B"),
    "iob1": Letters("I", "I", "I", "I"),
    "bioes": Letters("B", "I", "E", "S"),
    "bilou": Letters("B", "I", "L", "U"),
}
"""Letters of each scheme that a model can predict in."""
FILE_SCHEMES = {**SCHEMES, "bmes": Letters("B", "M", "E", "S"), "bmewo": Letters("B", "M", "E", "W")}
"""Letters of each scheme that files can be in; of schemes that fit equally well, the first is taken."""
MODEL_SCHEMES = {"bmes": "bioes", "bmewo": "bioes"}
"""Default scheme of a model of files in another one, where it is not the same."""
ALIASES = {"bio": "iob2"}
"""Other names of schemes."""


class Span(NamedTuple):
    """A labelled run of words."""

    first: int
    """Position of the first word, from 0."""
    last: int
    """Position of the last word, inclusive."""
    label: str


def read_spans(tags: Sequence[str]) -> list[Span]:
    """Return the spans that tags of any scheme spell, in order.

    A span begins with B, S, U or W, and with any other letter that continues no span of its label; it ends with E, L,
    S, U or W, and before any word that does not continue it. This is how conlleval reads tags, extended to the other
    schemes, and each scheme's own reading wherever the tags are possible in it.

    Raises:
        ValueError: a tag of no scheme.
    """
    spans: list[Span] = []
    open_label: str | None = None
    for i, tag in enumerate(tags):
        if tag == OUTSIDE:
            open_label = None
            continue
        if (parts := TAG.fullmatch(tag)) is None:
            raise ValueError(f"The tag '{tag}' is of no scheme.")
        letter, label = parts[1], parts[2] or ""
        if letter in "BSUW" or label != open_label:
            spans.append(Span(i, i, label))
        else:
            spans[-1] = spans[-1]._replace(last=i)
        open_label = None if letter in "ESLUW" else label
    return spans


def write_spans(spans: Iterable[Span], length: int, scheme: str) -> tuple[str, ...]:
    """Return the tags, `[length]`, that spell spans in a scheme.

    Raises:
        KselectError: an unknown scheme.
        ValueError: spans that overlap or reach outside of the sentence.
    """
    letters = _letters(scheme)
    tags, before = [OUTSIDE] * length, Span(-1, -1, "")
    for span in sorted(spans):
        if not before.last < span.first <= span.last < length:
            raise ValueError(f"{span} overlaps {before}, or reaches outside of {length} words.")
        size = span.last - span.first + 1
        spelt = [letters.single] if size == 1 else [letters.begin, *[letters.inside] * (size - 2), letters.end]
        if scheme == "iob1" and before.label == span.label and before.last == span.first - 1 >= 0:
            spelt[0] = "B"
        tags[span.first : span.last + 1] = [f"{letter}-{span.label}" if span.label else letter for letter in spelt]
        before = span
    return tuple(tags)


def convert(tags: Sequence[str], scheme: str) -> tuple[str, ...]:
    """Return the tags, `[n]`, that spell the same spans in a scheme (see `read_spans`); plain ones stay as they are."""
    return tuple(tags) if scheme == PLAIN else write_spans(read_spans(tags), len(tags), scheme)


def detect(sentences: Sequence[TaggedSentence]) -> str:
    """Return the scheme in which the fewest tags are impossible; of several, the first of `FILE_SCHEMES`.

    A span's first word that does not follow another span of its label is B in IOB2, and never is in IOB1, so that only
    tags without spans, and faulty ones, can be of both. Tags are plain where none is a letter of a scheme, "-" and a
    label (and not all of them are such letters or O).
    """
    tags = {tag for sentence in sentences for tag in sentence.tags}
    others = {tag for tag in tags if tag != OUTSIDE and TAG.fullmatch(tag) is None}
    if others and any((parts := TAG.fullmatch(tag)) and parts[2] for tag in tags):
        _refuse_unknown_tags(sentences)
    if others:
        return PLAIN
    # Many sentences share the few distinct sequences of tags.
    sequences = Counter(sentence.tags for sentence in sentences)
    faults = {
        scheme: sum(count * len(_changed(tags, convert(tags, scheme))) for tags, count in sequences.items())
        for scheme in FILE_SCHEMES
    }
    return min(faults, key=lambda scheme: faults[scheme])


def repair(
    sentences: Sequence[TaggedSentence], scheme: str, *, strict: bool = False
) -> tuple[list[TaggedSentence], list[str]]:
    """Return sentences whose tags are possible in a scheme, and the places of those that had to be changed for that.

    An impossible tag begins a span, or ends one, as `read_spans` has it: I-X after O becomes B-X in IOB2, E-X without
    B-X becomes S-X in BIOES, B-X before O too. Plain tags are all possible.

    Raises `KselectError`, with the place, for a tag of no scheme and, if `strict`, for the first impossible one.
    """
    if scheme == PLAIN:
        return list(sentences), []
    _letters(scheme)
    _refuse_unknown_tags(sentences)
    repaired: list[TaggedSentence] = []
    places: list[str] = []
    for sentence in sentences:
        tags = convert(sentence.tags, scheme)
        changed = _changed(sentence.tags, tags)
        if strict and changed:
            i = changed[0]
            raise KselectError(
                f"{sentence.origin.place(i)} has the tag '{sentence.tags[i]}', impossible there in {scheme.upper()}, "
                f"where it would be '{tags[i]}': fix it, or do without strict to have it repaired.",
                setting="strict",
            )
        places += map(sentence.origin.place, changed)
        repaired.append(sentence.tagged(tags) if changed else sentence)
    return repaired, places


def _changed(tags: Sequence[str], others: Sequence[str]) -> list[int]:
    return [i for i, (tag, other) in enumerate(zip(tags, others, strict=True)) if tag != other]


def _letters(scheme: str) -> Letters:
    if scheme not in FILE_SCHEMES:
        raise unknown("tagging scheme", scheme, FILE_SCHEMES)
    return FILE_SCHEMES[scheme]


def _refuse_unknown_tags(sentences: Iterable[TaggedSentence]) -> None:
    """Refuse the first tag that is of no scheme."""
    for sentence in sentences:
        for i, tag in enumerate(sentence.tags):
            if tag != OUTSIDE and TAG.fullmatch(tag) is None:
                raise KselectError(
                    f"{sentence.origin.place(i)} has the tag '{tag}', expected O or one like B-LABEL: "
                    f"fix it, or give {PLAIN} as file_scheme if the tags spell no spans.",
                    setting="file_scheme",
                )


IGNORED = UNLABELLED
"""Id of a tag that training does not have, which PyTorch's cross-entropy leaves out."""


@dataclass(frozen=True)
class TagSet:
    """Tags in the order of their ids: sorted if plain; otherwise O, then every letter of each label in turn.

    Attributes:
        scheme: one of `FILE_SCHEMES`, or plain.
        labels: labels of spans, sorted; or the plain tags themselves.
    """

    scheme: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, train: Iterable[TaggedSentence], scheme: str) -> TagSet:
        """Return the tags of training; a label comes with all of its tags in the scheme, whether they occur or not."""
        sequences = {sentence.tags for sentence in train}
        labels = {
            tag for tags in sequences for tag in (tags if scheme == PLAIN else (s.label for s in read_spans(tags)))
        }
        return cls(scheme, tuple(sorted(labels)))

    @classmethod
    def named(cls, tags: Sequence[str], scheme: str | None = None) -> TagSet:
        """Return the set of these tags, or of all tags that a scheme has of their labels.

        Without `scheme` it is inferred from the letters; IOB1 is taken for IOB2, which has the same letters.
        """
        parts = [TAG.fullmatch(tag) for tag in tags if tag != OUTSIDE]
        if scheme is None:
            letters = {part[1] for part in parts if part}
            of_letters = "bilou" if letters & set("LU") else "bioes" if letters & set("ESMW") else "iob2"
            scheme = of_letters if parts and all(parts) else PLAIN
        labels = {part[2] or "" for part in parts if part}
        return cls(scheme, tuple(sorted(tags if scheme == PLAIN else labels)))

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All tags, `[K]`."""
        if self.scheme == PLAIN:
            return self.labels
        used = set(FILE_SCHEMES[self.scheme]) | ({"B"} if self.scheme == "iob1" else set())
        letters = [letter for letter in "BIMESLUW" if letter in used]
        return (OUTSIDE, *(f"{x}-{label}" if label else x for label in self.labels for x in letters))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {tag: i for i, tag in enumerate(self.tags)}

    def __len__(self) -> int:
        """Return the number of tags, K."""
        return len(self.tags)

    def ids(self, tags: Iterable[str]) -> list[int]:
        """Return ids, `[n]`; `IGNORED` for what training does not have."""
        return [self._ids.get(tag, IGNORED) for tag in tags]

    def names(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Return the tags of ids, `[n]`."""
        names = tuple(ids)
        if not all(0 <= i < len(self) for i in names):
            raise ValueError(f"Ids of tags are 0 to {len(self) - 1}, not {names}.")
        return tuple(self.tags[i] for i in names)

    def unseen(self, sentences: Sequence[TaggedSentence]) -> Counter[str]:
        """Count the tags that no prediction can get right because training does not have them."""
        return Counter(tag for sentence in sentences for tag in sentence.tags if tag not in self._ids)
