"""A task's splits as token ids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from kselect.config import TEXT_SOURCES
from kselect.distillation.evaluation import fixed_sample
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task


class EncodedSplits:
    """The splits of a task, each encoded on first use, so that splits that are only reported cost nothing before."""

    def __init__(
        self, task: Task[Any], tokenizer: PreTrainedTokenizerBase, max_length: int, encode_at_once: bool = True
    ) -> None:
        """Encode at once the splits that training and choosing read: all but those that are only reported."""
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._task = task
        self._encoded: dict[str, EncodedSplit] = {}
        for name in task.splits if encode_at_once else ():
            if name == "dev" or name not in task.reported:
                _ = self[name]

    def training(self) -> tuple[EncodedSplit, list[int]]:
        """Return all texts to learn from, those of train first, and how many examples are of each source."""
        train, sizes = self["train"], [len(self["train"])]
        for name in TEXT_SOURCES:
            if name in self._task.splits:
                train = train.joined(self[name])
                sizes.append(len(self[name]))
        return train, sizes

    def __getitem__(self, name: str) -> EncodedSplit:
        if name not in self._encoded:
            self._encoded[name] = self._encode(name)
        return self._encoded[name]

    def _encode(self, name: str) -> EncodedSplit:
        return self._task.encode(self._task.splits[name], self.tokenizer, self.max_length)

    def sample(self, name: str, examples: int | None) -> tuple[EncodedSplit, NDArray[np.int64]]:
        """Return a split and the indices of a fixed sample of `examples` of it; of all, if None."""
        encoded = self[name]
        return encoded, encoded.whole_examples(fixed_sample(len(encoded), examples))

    @property
    def truncated(self) -> dict[str, int]:
        """Number of truncated texts in each split encoded so far."""
        return {name: split.truncated for name, split in self._encoded.items()}

    @property
    def in_pieces(self) -> dict[str, int]:
        """Number of sentences read in pieces in each split encoded so far."""
        return {name: split.in_pieces for name, split in self._encoded.items()}
