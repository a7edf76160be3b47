"""The words of texts, and their positions in a model's input."""

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
"""Index of the text in its example, and of the word in that text."""
STAND_IN = "."
"""Stand-in for the words of an example that has none, at the position of its first token."""


@dataclass(frozen=True)
class TextWords:
    """The sentences of n examples, one for each or two for a pair, in order; each example has at least one word."""

    sentences: list[tuple[str, ...]]
    """Words of each sentence."""
    examples: NDArray[np.int64]
    """Example of each sentence, ascending."""
    positions: list[NDArray[np.int32]]
    """Position of each word's first token in its example's input, by sentence."""

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self.examples, np.arange(self.examples[-1] + 2))

    def of(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the sentences of the examples at `indices`, and the position in `indices` of each, `[N]`."""
        spans = [np.arange(self._starts[index], self._starts[index + 1]) for index in indices]
        return np.concatenate(spans), np.repeat(np.arange(len(spans)), [len(span) for span in spans])


def words_of_texts(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TextWords:
    """Split texts into words as the tokenizer's pre-tokeniser does.

    Words without a token, or beyond `max_length`, are left out; one that is truncated there is read whole.
    """
    name = type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise KselectError(f"{name} does not map tokens to words: give a model with a fast tokenizer.")
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
        raise KselectError(f"{name} does not split texts into words: give a model with another tokenizer.")
    return TextWords(sentences, np.asarray(examples, dtype=np.int64), positions)


def _words(encoded: BatchEncoding, row: int) -> list[Word | None]:
    """Return the word of each token of an example; None for special tokens."""
    pairs = zip(encoded.sequence_ids(row), encoded.word_ids(row), strict=True)
    return [None if text is None or word is None else (text, word) for text, word in pairs]


def _spans(words: Sequence[Word | None], offsets: Sequence[tuple[int, int]]) -> dict[Word, tuple[int, int]]:
    """Return the start and end of each word in its text, given those of its tokens."""
    spans: dict[Word, tuple[int, int]] = {}
    for word, (start, end) in zip(words, offsets, strict=True):
        if word is not None:
            spans[word] = (spans.get(word, (start, end))[0], end)
    return spans
