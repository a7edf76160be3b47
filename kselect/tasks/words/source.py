"""Sentences of one's own, word by word: what a task is made of, and what is to be predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from kselect.errors import UserError
from kselect.tasks.location import find
from kselect.tasks.words.split import Sentence, WordSplit
from kselect.tasks.words.word_task import WordTask


@dataclass(frozen=True)
class UnlabelledWords(Generic[Sentence]):
    """Sentences to predict."""

    split: WordSplit[Sentence]
    file_name: str
    """What a file of their predictions is called."""
    text: Callable[[Sequence[Any]], str]
    """Writes answers, one a sentence, in the format that the sentences were read from."""
    path: Path | None = None
    """The file they were read from."""


@dataclass(frozen=True)
class WordSource(ABC):
    """The parts of a data set whose words are labelled."""

    train_file: str | None = None
    dev_file: str | None = None
    """Without it, dev is held out of train."""
    test_file: str | None = None
    data_dir: str | Path | None = field(default=None, kw_only=True)
    """Where files are that are not in the present folder; by default the environment variable KSELECT_DATA."""

    @abstractmethod
    def task(
        self, name: str, *, reward_fraction: float = 0.1, seed: int = 0, train_limit: int | None = None
    ) -> WordTask[Any]:
        """Read what is labelled; arguments are those of `kselect.tasks.building.parted`.

        Raises `UserError` for faults in the data, and for train that leaves nothing to tell apart.
        """

    @abstractmethod
    def task_of(self, name: str, labels: Sequence[str]) -> WordTask[Any]:
        """Return the task without examples, as a model that has these labels was trained on."""

    @abstractmethod
    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[Any]:
        """Read what a model of `task` is to predict; raises `UserError` for faults in it, or where it is missing."""

    def _file(self, part: str) -> Path:
        """Return a part's file; raises `UserError` where none is named, or it is not there."""
        path = {"train": self.train_file, "dev": self.dev_file, "test": self.test_file}[part]
        if path is None:
            raise UserError(f"--{part}_file is missing: give the file with the {part} sentences.")
        return find(path, self.data_dir)

    def _labelled_files(self) -> dict[str, Path]:
        """Return the files of "train" and, where it has one, "dev"; raises as `_file` does."""
        return {part: self._file(part) for part in (("train", "dev") if self.dev_file else ("train",))}
