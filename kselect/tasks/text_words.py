"""The words of texts, and where each of them stands in a model's input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kselect.errors import UserError
from kselect.tasks.split import Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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

    Words beyond `max_length` are none, as their tokens are not in the input; neither are those without a token.

    Raises:
        UserError: a tokenizer that does not tell which token is of which word, or takes a whole text for one.
    """
    name = type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise UserError(f"{name} does not tell which token is of which word: give a model with a fast tokenizer.")
    texts = (split.text_a,) if split.text_b is None else (split.text_a, split.text_b)
    encoded = tokenizer(
        *texts, truncation=True, max_length=max_length, return_offsets_mapping=True, return_attention_mask=False
    )
    sentences: list[tuple[str, ...]] = []
    examples: list[int] = []
    positions: list[NDArray[np.int32]] = []
    for row in range(len(split)):
        tokens = zip(encoded.sequence_ids(row), encoded.word_ids(row), encoded["offset_mapping"][row], strict=True)
        found = _sentences(tokens, [column[row] for column in texts]) or [((STAND_IN,), [0])]
        for words, places in found:
            sentences.append(words)
            examples.append(row)
            positions.append(np.asarray(places, dtype=np.int32))
    if all(len(words) == 1 for words in sentences) and any(" " in words[0] for words in sentences):
        raise UserError(f"{name} does not cut texts into words: give a model with another tokenizer.")
    return TextWords(sentences, np.asarray(examples, dtype=np.int64), positions)


def _sentences(
    tokens: Iterable[tuple[int | None, int | None, tuple[int, int]]], texts: Sequence[str]
) -> list[tuple[tuple[str, ...], list[int]]]:
    """Return the words of each text of an example, and the positions of their first tokens; a text without is left out.

    Args:
        tokens: of each token in turn, which text it is of, which word of that, and where in it; None where of none.
        texts: one, or both of a pair.
    """
    first: dict[tuple[int, int], int] = {}
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for position, (text, word, (start, end)) in enumerate(tokens):
        if text is None or word is None:
            continue
        key = (text, word)
        first.setdefault(key, position)
        spans[key] = (spans.get(key, (start, end))[0], end)
    found = []
    for text, whole in enumerate(texts):
        words = {key: whole[slice(*span)].strip() for key, span in spans.items() if key[0] == text}
        kept = [key for key, word in words.items() if word]
        if kept:
            found.append((tuple(words[key] for key in kept), [first[key] for key in kept]))
    return found
