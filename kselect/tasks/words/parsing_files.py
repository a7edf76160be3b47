"""Dependency trees of one's own, in CoNLL-U files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.tasks.paths import find
from kselect.tasks.splits import make_splits
from kselect.tasks.words.conllu import read_treebank
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import ParsedSentence, Sentence, WordSplit
from kselect.tasks.words.tagging_task import WordTask


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
        """Read what is labelled; arguments are those of `kselect.tasks.splits.make_splits`.

        Raises `KselectError` for faults in the data, and for train that leaves nothing to tell apart.
        """

    @abstractmethod
    def task_of(self, name: str, labels: Sequence[str]) -> WordTask[Any]:
        """Return the task without examples, as a model that has these labels was trained on."""

    @abstractmethod
    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[Any]:
        """Read what a model of `task` is to predict; raises `KselectError` for faults in it, or where it is missing."""

    def _file(self, part: str) -> Path:
        """Return a part's file; raises `KselectError` where none is named, or it is not there."""
        path = {"train": self.train_file, "dev": self.dev_file, "test": self.test_file}[part]
        if path is None:
            raise KselectError(f"--{part}_file is missing: give the file with the {part} sentences.")
        return find(path, self.data_dir)

    def _labelled_files(self) -> dict[str, Path]:
        """Return the files of "train" and, where it has one, "dev"; raises as `_file` does."""
        return {part: self._file(part) for part in (("train", "dev") if self.dev_file else ("train",))}


METRICS = ("las",)


@dataclass(frozen=True)
class TreeSource(WordSource):
    """CoNLL-U files; the relations are those of train."""

    def task(
        self, name: str, *, reward_fraction: float = 0.1, seed: int = 0, train_limit: int | None = None
    ) -> ParsingTask:
        """Read the trees of train and dev; see `WordSource.task`."""
        parts = {part: read_treebank(path).sentences for part, path in self._labelled_files().items()}
        if all(len(sentence) == 1 for sentence in parts["train"]):
            raise KselectError(
                f"{self.train_file} has no sentence of two words: give some, or there is nothing to parse."
            )
        labels = tuple(sorted({relation for sentence in parts["train"] for relation in sentence.relations}))
        for sentences in parts.values():
            _tell_unseen(sentences, labels)
        splits = {part: WordSplit(sentences) for part, sentences in parts.items()}
        splits = make_splits(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
        return ParsingTask(name, labels, splits, METRICS)

    def task_of(self, name: str, labels: Sequence[str]) -> ParsingTask:
        """Return the task of parsing with these relations; see `WordSource.task_of`."""
        return ParsingTask(name, tuple(labels), {}, METRICS)

    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[ParsedSentence]:
        """Read the sentences of the test file, whatever trees it has; answers are heads and relations."""
        path = self._file("test")
        treebank = read_treebank(path, trees=False)
        return UnlabelledWords(
            WordSplit(treebank.sentences),
            path.name,
            lambda trees: treebank.text([heads for heads, _ in trees], [relations for _, relations in trees]),
            path,
        )


def _tell_unseen(sentences: Sequence[ParsedSentence], labels: Sequence[str]) -> None:
    unseen = Counter(name for sentence in sentences for name in sentence.relations if name not in labels)
    if unseen:
        get_logger().warning(
            "%s has %d relation%s that train has none of, and no prediction gets right: %s.",
            sentences[0].origin.source,
            unseen.total(),
            "s" * (unseen.total() != 1),
            ", ".join(sorted(unseen)),
        )
