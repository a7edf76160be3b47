"""A split of sentences, word by word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from kselect.tasks.examples import Examples
from kselect.tasks.sampling import spread_sample
from kselect.tasks.words.sentence import ParsedSentence, TaggedSentence

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
