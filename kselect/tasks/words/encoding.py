"""Sentences encoded as token ids, with the positions of their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.words.schemes import IGNORED
from kselect.tasks.words.sentence import Sentence, WordSplit

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Piece:
    """The words from `first` to before `last` of a sentence; all of them, but where the model takes fewer tokens."""

    sentence: int
    first: int
    last: int


@dataclass(frozen=True)
class EncodedWords(EncodedSplit):
    """Sentences as token ids; one longer than the model's input is divided into several examples, between words.

    `labels` are an object array, `[n]`, of the labels of each example's words, `[w, ...]`.
    """

    word_positions: list[NDArray[np.int32]]
    """Position of each word's first token, by example."""
    pieces: list[Piece]
    """The words of each example, in order."""
    split: WordSplit[Any]
    """The sentences."""

    @property
    def word_counts(self) -> NDArray[np.int32]:
        """Number of words of each example, `[n]`."""
        return np.asarray([len(positions) for positions in self.word_positions], dtype=np.int32)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Sentence of each example, `[n]`."""
        return np.asarray([piece.sentence for piece in self.pieces], dtype=np.int64)

    @property
    def first_words(self) -> NDArray[np.int64]:
        """First word of each example in its sentence, counted from 0, `[n]`."""
        return np.asarray([piece.first for piece in self.pieces], dtype=np.int64)

    def joined(self, other: EncodedSplit) -> EncodedWords:
        """Return the sentences of both splits; see `EncodedSplit.joined`."""
        joined = super().joined(other)
        assert isinstance(joined, EncodedWords)
        assert isinstance(other, EncodedWords)
        count = len(self.split)
        return replace(
            joined,
            word_positions=self.word_positions + other.word_positions,
            pieces=self.pieces + [replace(piece, sentence=count + piece.sentence) for piece in other.pieces],
            split=WordSplit([*self.split.sentences, *other.split.sentences]),
        )

    def trimmed(self, answer: NDArray[Any], index: int) -> NDArray[Any]:
        """Return the answer to the example at `index`, `[W, ...]`, for its words, `[w, ...]`."""
        return answer[: len(self.word_positions[index])]

    def batch(
        self, indices: Sequence[int] | NDArray[np.integer], pad_to_multiple_of: int = 8
    ) -> dict[str, torch.Tensor]:
        """Return the examples at `indices` `[b]` as `EncodedSplit.batch` does, and with them their words.

        `word_positions` is `[b, W]`, 0 in padding; `word_mask` `[b, W]`, True on real words; `labels` `[b, W, ...]`,
        `IGNORED` in padding.
        """
        import torch

        rows = [int(index) for index in indices]
        counts = np.asarray([len(self.word_positions[row]) for row in rows])  # of the batch, not of all examples
        positions = np.zeros((len(rows), counts.max()), dtype=np.int64)
        for i, row in enumerate(rows):
            positions[i, : counts[i]] = self.word_positions[row]
        mask = np.arange(counts.max()) < counts[:, None]
        words = {"word_positions": torch.from_numpy(positions), "word_mask": torch.from_numpy(mask)}
        return super().batch(indices, pad_to_multiple_of) | words

    def gold(self, rows: list[int]) -> NDArray[Any]:
        """Return the labels of the words of `rows`, `[b, W, ...]`."""
        labels = [self.labels[row] for row in rows]
        padded = np.full((len(rows), max(map(len, labels)), *labels[0].shape[1:]), IGNORED, dtype=np.int64)
        for i, known in enumerate(labels):
            padded[i, : len(known)] = known
        return padded

    def whole(self, answers: Sequence[NDArray[Any]], indices: NDArray[np.int64]) -> dict[int, list[tuple[Piece, Any]]]:
        """Join answers to the examples `indices` by sentence; a sentence that lacks a piece is left out."""
        found: dict[int, list[tuple[Piece, Any]]] = {}
        for answer, index in sorted(zip(answers, indices.tolist(), strict=True), key=lambda pair: pair[1]):
            piece = self.pieces[index]
            found.setdefault(piece.sentence, []).append((piece, answer))
        sizes = {number: len(self.split.sentences[number]) for number in found}
        return {
            number: pieces
            for number, pieces in found.items()
            if sum(piece.last - piece.first for piece, _ in pieces) == sizes[number]
        }


def encode_words(
    split: WordSplit[Sentence],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    label: Callable[[Sentence, Piece], NDArray[np.int64]],
) -> EncodedWords:
    """Encode sentences; no word is lost.

    A word of which the tokenizer makes nothing (a control character, say) stands as its unknown token. One that alone
    is longer than `max_length` keeps its first tokens.
    """
    if tokenizer.pad_token_id is None or tokenizer.padding_side != "right":
        raise KselectError(f"{type(tokenizer).__name__} does not pad on the right: give a model whose tokenizer does.")
    before: list[int]
    after: list[int]
    before, after = special_tokens_around(tokenizer)
    room = max_length - len(before) - len(after)
    if room < 1:
        raise KselectError(f"max_length is {max_length}: give at least {max_length - room + 1} tokens.")
    ids: list[NDArray[np.int32]] = []
    positions: list[NDArray[np.int32]] = []
    pieces: list[Piece] = []
    labels: list[NDArray[np.int64]] = []
    tokens = list(_token_ids(split, tokenizer, room))
    for number, sentence in enumerate(split.sentences):
        words = tokens[number]
        for first, last in _cuts(words, room):
            piece = Piece(number, first, last)
            sizes: list[int] = [len(word) for word in words[first:last]]
            positions.append(len(before) + np.cumsum([0, *sizes[:-1]], dtype=np.int32))
            inside: list[int] = [token for word in words[first:last] for token in word]
            ids.append(np.asarray([*before, *inside, *after], dtype=np.int32))
            pieces.append(piece)
            labels.append(label(sentence, piece))
    gold = np.empty(len(labels), dtype=object)
    gold[:] = labels
    return EncodedWords(
        input_ids=ids,
        token_type_ids=None,
        labels=gold,
        lengths=np.asarray([len(one) for one in ids], dtype=np.int32),
        truncated=0,
        pad_token_id=int(tokenizer.pad_token_id),
        max_length=max_length,
        word_positions=positions,
        pieces=pieces,
        split=split,
    )


def no_labels(_: Sentence, piece: Piece) -> NDArray[np.int64]:
    """Return placeholders for the labels of a piece's words, `[w]`, where only a model's answers are wanted."""
    return np.zeros(piece.last - piece.first, dtype=np.int64)


def special_tokens_around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the special tokens before and after a text."""
    marked = tokenizer("a", return_special_tokens_mask=True)
    ids, special = marked["input_ids"], marked["special_tokens_mask"]
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return ids[:first], ids[last:]


def _token_ids(split: WordSplit[Sentence], tokenizer: PreTrainedTokenizerBase, room: int) -> Iterator[list[list[int]]]:
    """Yield the tokens of each word of each sentence."""
    if not tokenizer.is_fast:
        raise KselectError(f"{type(tokenizer).__name__} does not map tokens to words: give a fast one.")
    space = word_prefix(tokenizer)
    sentences = [[word if i == 0 else space + word for i, word in enumerate(one.words)] for one in split.sentences]
    encoded = tokenizer(sentences, is_split_into_words=True, add_special_tokens=False, verbose=False)
    for row, words in enumerate(sentences):
        tokens: list[list[int]] = [[] for _ in words]
        for token, word in zip(encoded["input_ids"][row], encoded.word_ids(row), strict=True):
            if word is not None and len(tokens[word]) < room:
                tokens[word].append(token)
        yield [word or [int(tokenizer.unk_token_id)] for word in tokens]


def word_prefix(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the prefix that all words but the first need to be tokenised as in a text.

    It is a space where the tokenizer reads it as part of the word and does not add it (RoBERTa, ModernBERT).
    """

    def ids(texts: str | list[str]) -> list[int]:
        return list(
            tokenizer(texts, is_split_into_words=isinstance(texts, list), add_special_tokens=False)["input_ids"]
        )

    text = ids("a a")
    return " " if ids(["a", "a"]) != text == ids(["a", " a"]) else ""


def _cuts(words: Sequence[Sequence[int]], room: int) -> Iterator[tuple[int, int]]:
    """Yield consecutive spans of words with at most `room` tokens, of similar length."""
    ends = np.concatenate([[0], np.cumsum([len(word) for word in words])])
    first = 0
    while first < len(words):
        left = int(ends[-1] - ends[first])
        goal = ends[first] + -(-left // -(-left // room))
        last = int(np.searchsorted(ends, goal))  # the first end that is not before the goal, if there is room for it
        if ends[last] - ends[first] > room:
            last -= 1
        yield first, last
        first = last
