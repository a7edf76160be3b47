"""The words among the tokens of a model."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from kselect.distillation.augmentation.passages import is_replaceable


def pieces_of(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Return the tokens of each word, as they are within a text, after a space."""
    spaced = [f" {word}" for word in words]
    return list(tokenizer(spaced, add_special_tokens=False, verbose=False)["input_ids"]) if spaced else []


class WholeWords:
    """The words that a tokenizer reads as a single token, in the order of their ids, without stop words.

    Attributes:
        ids: token of each word, `[n]`.
        words: the words, `[n]`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Find the words in a tokenizer's vocabulary, whatever marks words there."""
        self._special = special = frozenset(tokenizer.all_special_ids)
        tokens = sorted((index, token) for token, index in tokenizer.get_vocab().items() if index not in special)
        found = [(index, tokenizer.convert_tokens_to_string([token]).strip()) for index, token in tokens]
        found = [(index, word) for index, word in found if is_replaceable(word)]
        read = pieces_of([word for _, word in found], tokenizer)
        whole = [pair for pair, pieces in zip(found, read, strict=True) if pieces == [pair[0]]]
        self.ids = [index for index, _ in whole]
        self.words = [word for _, word in whole]
        self._rows: dict[str | int, set[int]] = {}
        for row, (index, word) in enumerate(whole):
            self._rows[index] = {row}
            self._rows.setdefault(word.casefold(), set()).add(row)

    def same(self, word: str, pieces: Sequence[int]) -> list[int]:
        """Return the positions of the words that are the same as `word`, of these tokens, but for case or accents."""
        same = self._rows.get(word.casefold(), set())
        return sorted(same | self._rows.get(pieces[0], set()) if len(pieces) == 1 else same)

    def knows(self, pieces: Sequence[int]) -> bool:
        """Return whether a word of these tokens is known: it has some, and none of them is special."""
        return len(pieces) > 0 and self._special.isdisjoint(pieces)
