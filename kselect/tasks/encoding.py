"""Texts encoded as token ids, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.tasks.splits import Split

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class EncodedSplit:
    """A split as token ids, unpadded, in the order of the split."""

    input_ids: list[NDArray[np.int32]]
    """Token ids of each example, special tokens included."""
    token_type_ids: list[NDArray[np.int32]] | None
    """Segment of each token, 0 or 1; None where the tokenizer makes none."""
    labels: NDArray[Any]
    """Label ids [n] in int64, or scores in float32 in a regression."""
    lengths: NDArray[np.int32]
    """Number of tokens of each example [n]."""
    truncated: int
    """Number of examples that were longer than `max_length` and truncated."""
    pad_token_id: int
    """Padding token."""
    max_length: int
    """No batch is wider than this, padding included."""

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def word_counts(self) -> NDArray[np.int32] | None:
        """Number of words of each example `[n]`; None where texts are read as a whole."""
        return None

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Index in the split of each example, or of the one that it is a piece of, `[n]`."""
        return np.arange(len(self))

    @property
    def first_words(self) -> NDArray[np.int64]:
        """Index of the first word of each example in its example of the split, `[n]`."""
        return np.zeros(len(self), dtype=np.int64)

    @property
    def in_pieces(self) -> int:
        """Number of examples of the split that are longer than `max_length` and are divided into pieces."""
        return int((np.bincount(self.numbers) > 1).sum())

    def whole_examples(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `indices`, and those of other pieces of the same examples, ascending."""
        return np.flatnonzero(np.isin(self.numbers, self.numbers[indices]))

    def joined(self, other: EncodedSplit) -> EncodedSplit:
        """Return the examples of both splits, which one tokenizer encoded, these ones first."""
        segments = None
        if self.token_type_ids is not None and other.token_type_ids is not None:
            segments = self.token_type_ids + other.token_type_ids
        return replace(
            self,
            input_ids=self.input_ids + other.input_ids,
            token_type_ids=segments,
            labels=np.concatenate([self.labels, other.labels]),
            lengths=np.concatenate([self.lengths, other.lengths]),
            truncated=self.truncated + other.truncated,
        )

    def trimmed(self, answer: NDArray[Any], index: int) -> NDArray[Any]:
        """Return the answer to the example at `index` without padding."""
        return answer

    def gold(self, rows: list[int]) -> NDArray[Any]:
        """Return the labels of the examples `rows`, padded if they are of words."""
        labels: NDArray[Any] = self.labels[rows]
        return labels

    def width(self, indices: Sequence[int] | NDArray[np.integer], pad_to_multiple_of: int = 8) -> int:
        """Return the width in tokens of the batch of the examples at `indices` `[b]`, padding included."""
        longest = int(self.lengths[indices].max())
        return min(-(-longest // pad_to_multiple_of) * pad_to_multiple_of, self.max_length)

    def batch(
        self, indices: Sequence[int] | NDArray[np.integer], pad_to_multiple_of: int = 8
    ) -> dict[str, torch.Tensor]:
        """Return the examples at `indices` [b] as int64 tensors under the names transformers' models take.

        `input_ids`, `attention_mask` and, where there are any, `token_type_ids` are [b, width], padded on
        the right; width is the longest length rounded up to a multiple of `pad_to_multiple_of`, though never
        above `max_length`. `labels` is [b], float32 where they are scores.
        """
        import torch

        rows = [int(index) for index in indices]
        width = self.width(indices, pad_to_multiple_of)
        tensors: dict[str, NDArray[Any]] = {
            "input_ids": _padded([self.input_ids[row] for row in rows], width, self.pad_token_id),
            "attention_mask": (np.arange(width) < self.lengths[rows][:, None]).astype(np.int64),
        }
        if self.token_type_ids is not None:
            tensors["token_type_ids"] = _padded([self.token_type_ids[row] for row in rows], width, 0)
        tensors["labels"] = self.gold(rows)
        return {name: torch.from_numpy(values) for name, values in tensors.items()}


def _padded(sequences: list[NDArray[np.int32]], width: int, fill: int) -> NDArray[np.int64]:
    padded = np.full((len(sequences), width), fill, dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def check_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that cannot pad, or only on the left, as XLNet's."""
    if tokenizer.pad_token_id is None:
        raise KselectError(f"{type(tokenizer).__name__} has no padding token: set its pad_token and save it again.")
    if tokenizer.padding_side != "right":
        raise KselectError(
            f"{type(tokenizer).__name__} pads on the {tokenizer.padding_side}, which its model expects: batches here "
            f"are padded on the right. Give a model whose tokenizer pads there."
        )


def encode(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedSplit:
    """Encode a split, each example or pair cut to `max_length` tokens (the longer text of a pair first).

    Raises `KselectError` for a tokenizer that `check_padding` refuses.
    """
    check_padding(tokenizer)
    whole = _token_ids(split, tokenizer)
    too_long = [row for row, ids in enumerate(whole["input_ids"]) if len(ids) > max_length]
    if too_long:
        cut = _token_ids(split.take(too_long), tokenizer, truncation=True, max_length=max_length)
        for name, sequences in cut.items():
            for row, sequence in zip(too_long, sequences, strict=True):
                whole[name][row] = sequence
    return EncodedSplit(
        input_ids=whole["input_ids"],
        token_type_ids=whole.get("token_type_ids"),
        labels=np.asarray(split.labels, dtype=np.float32 if split.scored else np.int64),
        lengths=np.asarray([len(ids) for ids in whole["input_ids"]], dtype=np.int32),
        truncated=len(too_long),
        pad_token_id=int(tokenizer.pad_token_id),
        max_length=max_length,
    )


def _token_ids(
    split: Split, tokenizer: PreTrainedTokenizerBase, **truncation: Any
) -> dict[str, list[NDArray[np.int32]]]:
    texts = (split.text_a,) if split.text_b is None else (split.text_a, split.text_b)
    # verbose=False: texts beyond the model's length are expected here, and cut above.
    encoded = tokenizer(*texts, return_attention_mask=False, verbose=False, **truncation)
    return {name: [np.asarray(ids, dtype=np.int32) for ids in encoded[name]] for name in encoded}
