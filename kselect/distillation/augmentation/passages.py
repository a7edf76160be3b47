"""Texts and sentences as passages, whose words can be replaced while everything between them stays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kselect.errors import KselectError
from kselect.tasks.splits import Examples, Split
from kselect.tasks.words.sentence import TaggedSentence, WordSplit

WORD = re.compile(r"([^\W\d_]+(?:['\u2019-][^\W\d_]+)*)")
"""Letters, with single apostrophes or hyphens between them."""
ENGLISH = """
a about above after again against all also am an and any are aren't as at be because been before being below between
both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each either else ever
every few for from further had hadn't has hasn't have haven't having he her here hers herself him himself his how
however i if in into is isn't it its itself just ll may me might more most much must mustn't my myself n't neither never
no nor not of off on once only or other our ours ourselves out over own re same shall she should shouldn't so some such
than that the their theirs them themselves then there these they this those though through to too under until up upon us
ve very was wasn't we were weren't what when where whether which while who whom whose why will with without won't would
wouldn't yet you your yours yourself yourselves
"""
STOP_WORDS = frozenset(ENGLISH.split()) | {word.removesuffix("'t") for word in ENGLISH.split()} - {"won"}
"""English words that carry grammar rather than content, and "isn" and the like, which tokenizers make of "isn't"."""


def is_replaceable(word: str) -> bool:
    """Return whether a word is of at least two letters, has no digits or other signs, and is no stop word."""
    return len(word) > 1 and WORD.fullmatch(word) is not None and word.lower() not in STOP_WORDS


@dataclass(frozen=True)
class Passage:
    """A text, or the words of a sentence.

    Attributes:
        parts: words and what is between them; of a sentence, its words.
        space: what is between two parts in the text.
    """

    parts: tuple[str, ...]
    space: str = ""

    @classmethod
    def of_text(cls, text: str) -> Passage:
        """Divide a text into its words and what is between them."""
        return cls(tuple(WORD.split(text)))

    @property
    def text(self) -> str:
        """The whole text."""
        return self.space.join(self.parts)

    @cached_property
    def words(self) -> tuple[int, ...]:
        """Index of each part that can be replaced."""
        return tuple(index for index, part in enumerate(self.parts) if is_replaceable(part))

    def with_parts(self, parts: Mapping[int, str]) -> Passage:
        """Return the passage with other parts at these indices."""
        return replace(self, parts=tuple(parts.get(index, part) for index, part in enumerate(self.parts)))


def passages_of(examples: Examples) -> list[tuple[Passage, ...]]:
    """Return the passages of each example, two where it is a pair of texts.

    Raises:
        KselectError: the examples are neither texts nor sentences with tags.
    """
    if isinstance(examples, Split):
        columns = [examples.text_a] if examples.text_b is None else [examples.text_a, examples.text_b]
        return list(zip(*([Passage.of_text(text) for text in column] for column in columns), strict=True))
    if isinstance(examples, WordSplit) and all(isinstance(each, TaggedSentence) for each in examples.sentences):
        return [(Passage(sentence.words, " "),) for sentence in examples.sentences]
    raise KselectError("Words of parsed sentences are not replaced: leave augment out.", setting="augment")


def with_passages(examples: Any, rows: Sequence[int], passages: Sequence[tuple[Passage, ...]]) -> Examples:
    """Return the examples at `rows` with these passages in place of their own, and without labels."""
    chosen = examples.take(rows)
    if isinstance(chosen, Split):
        texts = [[passage.text for passage in column] for column in zip(*passages, strict=True)]
        return replace(chosen, text_a=texts[0], text_b=None if chosen.text_b is None else texts[1]).unlabelled()
    sentences = zip(chosen.sentences, passages, strict=True)
    return WordSplit([replace(sentence, words=passage.parts, tags=()) for sentence, (passage,) in sentences])
