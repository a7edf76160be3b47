"""Sentences of one's own, word by word: what a task is made of, and what is to be predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from kselect.errors import UserError
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


class WordSource(ABC):
    """The parts of a data set whose words are labelled."""

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


def given(path: str | None, part: str) -> str:
    """Return a part's file; raises `UserError` where none is named."""
    if path is None:
        raise UserError(f"{part}_file is missing: give the file with the {part} sentences.")
    return path
