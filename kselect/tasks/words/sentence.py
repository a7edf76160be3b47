"""Sentences of words with a tag, or a head and a relation, for each word."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from kselect.tasks.splits import Examples, spread_sample


@dataclass(frozen=True)
class Origin:
    """Source of a sentence."""

    source: str
    """The file or data set, as messages name it."""
    lines: tuple[int, ...] = ()
    """Line of each word in its file, from 1, `[n]`; empty where there are no lines."""
    row: int = 0
    """Row in the data set, from 0, where there are no lines."""
    name: str | None = None
    """Name of the sentence in the file."""

    def place(self, word: int = 0) -> str:
        """Return the place of a word, counted from 0, for messages."""
        if not self.lines:
            return f"{self.source}, row {self.row + 1}, word {word + 1}"
        return f"{self.source}:{self.lines[word]}" + (f" (sentence {self.name})" if self.name else "")


@dataclass(frozen=True)
class TaggedSentence:
    """n > 0 words with one tag each."""

    words: tuple[str, ...]
    """`[n]`."""
    tags: tuple[str, ...]
    """`[n]`; empty where unknown."""
    origin: Origin

    def __len__(self) -> int:
        """Number of words."""
        return len(self.words)

    def tagged(self, tags: Sequence[str]) -> TaggedSentence:
        """Return the sentence with other tags, `[n]`."""
        return replace(self, tags=tuple(tags))


@dataclass(frozen=True)
class ParsedSentence:
    """n > 0 words, each of which depends on another one or, exactly one of them, on the root."""

    words: tuple[str, ...]
    """`[n]`."""
    upos: tuple[str, ...]
    """Universal part of speech, `[n]`."""
    heads: tuple[int, ...]
    """Position of each word's head, from 1, and 0 for the root's, `[n]`; empty where unknown."""
    relations: tuple[str, ...]
    """Relation of each word to its head, `[n]`; empty where unknown."""
    origin: Origin

    def __len__(self) -> int:
        """Number of words."""
        return len(self.words)

    @property
    def with_upos(self) -> TaggedSentence:
        """The same words, tagged with their parts of speech."""
        return TaggedSentence(self.words, self.upos, self.origin)

    @property
    def with_relations(self) -> TaggedSentence:
        """The same words, tagged with their relations."""
        return TaggedSentence(self.words, self.relations, self.origin)


Sentence = TypeVar("Sentence", TaggedSentence, ParsedSentence)


@dataclass(frozen=True)
class WordSplit(Examples, Generic[Sentence]):
    """Sentences whose words are labelled."""

    sentences: Sequence[Sentence]

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.sentences)

    def take(self, indices: Iterable[int]) -> WordSplit[Sentence]:
        """Return the sentences at `indices`, in that order."""
        return WordSplit([self.sentences[int(index)] for index in indices])

    def sample(self, count: int, seed: int) -> list[int]:
        """Return indices of sentences whose lengths have the spread of all."""
        return spread_sample([float(len(sentence)) for sentence in self.sentences], count, seed)

    def keys(self) -> Sequence[Hashable]:
        """Return the words of each sentence, `[n]`."""
        return [sentence.words for sentence in self.sentences]
