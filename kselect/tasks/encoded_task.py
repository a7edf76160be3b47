"""A task of texts that are encoded already, as transformers' `Trainer` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kselect.errors import KselectError
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import Split, held_out_rows
from kselect.tasks.task import TextTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REWARD_SHARE = 0.1
SPLIT_SEED = 0
LABEL_COLUMNS = ("labels", "label", "label_ids")


@dataclass(frozen=True)
class EncodedTask(TextTask):
    """A task whose splits hold token ids and token types in place of first and second texts, as decimal numbers.

    So splits are sampled, taken and hashed as those of texts are.
    """

    train_rows: Sequence[int] = ()
    """Where the examples of train are in the data set, `[n]`, ascending."""

    def encode(self, split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedSplit:
        """Return the token ids of a split; none is cut."""
        input_ids = [_numbers(text) for text in split.text_a]
        return EncodedSplit(
            input_ids=input_ids,
            token_type_ids=None if split.text_b is None else [_numbers(text) for text in split.text_b],
            labels=np.asarray(split.labels, dtype=np.float32 if split.scored else np.int64),
            lengths=np.asarray([len(ids) for ids in input_ids], dtype=np.int32),
            truncated=0,
            pad_token_id=int(tokenizer.pad_token_id),
            max_length=max_length,
        )

    @property
    def longest(self) -> int:
        """Number of tokens of the longest example."""
        return max(text.count(" ") + 1 for split in self.splits.values() for text in split.text_a)


def build_encoded_task(
    rows: Iterable[Mapping[str, Any]], labels: Sequence[str], multi_label: bool, name: str = "train_dataset"
) -> EncodedTask:
    """Make a task of the rows of a data set.

    A tenth of them, stratified, is the reward split; copies of an example stay together.

    Args:
        rows: with `input_ids`, perhaps `attention_mask` and `token_type_ids`, and `labels` or `label`.
        labels: label names in id order; empty where labels are scores.
        multi_label: whether a text may have several labels.
        name: of the task, in messages.

    Raises:
        KselectError: a row without token ids or label, or too few different rows.
    """
    whole = _split(rows, scored=not labels, multi_label=multi_label)
    held_out = held_out_rows(whole, REWARD_SHARE, SPLIT_SEED)
    if len(held_out) >= len(whole):
        raise KselectError("train_dataset has fewer than two different examples: give more.", setting="train_dataset")
    rest = [row for row in range(len(whole)) if row not in held_out]
    reward = whole.take(sorted(held_out))
    splits = {"train": whole.take(rest), "reward": reward, "dev": reward}
    metrics = ("micro_f1",) if multi_label else ("accuracy",) if labels else ("pearson",)
    return EncodedTask(name, tuple(labels), splits, metrics, multi_label, rest)


def _split(rows: Iterable[Mapping[str, Any]], scored: bool, multi_label: bool) -> Split:
    input_ids: list[str] = []
    token_types: list[str] = []
    labels: list[Any] = []
    for row in rows:
        label = next((row[column] for column in LABEL_COLUMNS if column in row), None)
        if label is None or "input_ids" not in row:
            raise KselectError(
                f"An example of train_dataset has {', '.join(row)}, and needs input_ids and labels: tokenise the data "
                "set before.",
                setting="train_dataset",
            )
        real = np.asarray(row.get("attention_mask", np.ones(len(row["input_ids"])))).astype(bool)
        input_ids.append(_text(np.asarray(row["input_ids"])[real]))
        if "token_type_ids" in row:
            token_types.append(_text(np.asarray(row["token_type_ids"])[real]))
        labels.append(_label(label, scored, multi_label))
    if token_types and len(token_types) < len(input_ids):
        raise KselectError(
            "Some examples of train_dataset have token_type_ids and others do not: tokenise all alike.",
            setting="train_dataset",
        )
    return Split(input_ids, token_types or None, labels)


def _label(label: Any, scored: bool, multi_label: bool) -> Any:
    if multi_label:
        return tuple(int(each) for each in label)
    return float(label) if scored else int(label)


def _text(ids: NDArray[Any]) -> str:
    return " ".join(map(str, ids.tolist()))


def _numbers(text: str) -> NDArray[np.int32]:
    return np.array(text.split(), dtype=np.int32)
