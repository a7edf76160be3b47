"""The words of texts, and where each of them stands in a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.tasks.splits import Split

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

Word = tuple[int, int]
"""Which text of an example, and which word of that, both from 0."""
STAND_IN = "."
"""The one word of an example that has none, at the place of its first token."""


@dataclass(frozen=True)
class TextWords:
    """The sentences of n examples, one of each or two of a pair, in order; every example has one of a word at least."""

    sentences: list[tuple[str, ...]]
    """Words of each sentence."""
    examples: NDArray[np.int64]
    """Which example each sentence is of, ascending."""
    positions: list[NDArray[np.int32]]
    """Where the first token of each word stands in its example's input, by sentence."""

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self.examples, np.arange(self.examples[-1] + 2))

    def of(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of the sentences of the examples at `indices`, and to which of these each belongs, `[N]`."""
        spans = [np.arange(self._starts[index], self._starts[index + 1]) for index in indices]
        return np.concatenate(spans), np.repeat(np.arange(len(spans)), [len(span) for span in spans])


def words_of_texts(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TextWords:
    """Cut texts into the words that the tokenizer itself makes pieces of: what its pre-tokeniser gives.

    Words beyond `max_length` are none, as their tokens are not in the input; neither are those without a token. One
    that is cut in two there is read whole.
    """
    name = type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise KselectError(f"{name} does not tell which token is of which word: give a model with a fast tokenizer.")
    texts = (split.text_a,) if split.text_b is None else (split.text_a, split.text_b)
    whole = tokenizer(*texts, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
    read = tokenizer(*texts, truncation=True, max_length=max_length, return_attention_mask=False)
    sentences: list[tuple[str, ...]] = []
    examples: list[int] = []
    positions: list[NDArray[np.int32]] = []
    for row in range(len(split)):
        spans = _spans(_words(whole, row), whole["offset_mapping"][row])
        first: dict[Word, int] = {}
        for position, word in enumerate(_words(read, row)):
            if word is not None:
                first.setdefault(word, position)
        for text, column in enumerate(texts):
            named = {word: column[row][slice(*spans[word])].strip() for word in first if word[0] == text}
            kept = [word for word, name in named.items() if name]
            if kept:
                sentences.append(tuple(named[word] for word in kept))
                examples.append(row)
                positions.append(np.asarray([first[word] for word in kept], dtype=np.int32))
        if not examples or examples[-1] != row:
            sentences.append((STAND_IN,))
            examples.append(row)
            positions.append(np.zeros(1, dtype=np.int32))
    if all(len(words) == 1 for words in sentences) and any(" " in words[0] for words in sentences):
        raise KselectError(f"{name} does not cut texts into words: give a model with another tokenizer.")
    return TextWords(sentences, np.asarray(examples, dtype=np.int64), positions)


def _words(encoded: BatchEncoding, row: int) -> list[Word | None]:
    """Return which word each token of an example is of; None of a special one."""
    pairs = zip(encoded.sequence_ids(row), encoded.word_ids(row), strict=True)
    return [None if text is None or word is None else (text, word) for text, word in pairs]


def _spans(words: Sequence[Word | None], offsets: Sequence[tuple[int, int]]) -> dict[Word, tuple[int, int]]:
    """Return where each word begins and ends in its text, given where its tokens do."""
    spans: dict[Word, tuple[int, int]] = {}
    for word, (start, end) in zip(words, offsets, strict=True):
        if word is not None:
            spans[word] = (spans.get(word, (start, end))[0], end)
    return spans
