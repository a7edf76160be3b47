"""Custom datasets of labelled words, and those of dependency trees in CoNLL-U files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.tasks.paths import find_file
from kselect.tasks.splits import make_splits
from kselect.tasks.words.conllu import read_treebank
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import ParsedSentence, Sentence, WordSplit
from kselect.tasks.words.tagged_data import check_spellings
from kselect.tasks.words.tagging_task import WordTask


@dataclass(frozen=True)
class UnlabelledWords(Generic[Sentence]):
    """Sentences to predict.

    Attributes:
        split: the sentences.
        file_name: default name of a file of their predictions.
        text: writes predictions, one a sentence, in the format that the sentences were read from.
        path: the file they were read from.
    """

    split: WordSplit[Sentence]
    file_name: str
    text: Callable[[Sequence[Any]], str]
    path: Path | None = None


@dataclass(frozen=True)
class WordSource(ABC):
    """The splits of a data set whose words are labelled.

    Attributes:
        train_file: sentences to learn from.
        dev_file: sentences for reporting; without it dev is held out of train.
        test_file: sentences to predict.
        data_dir: where files are that are not in the current folder; by default the environment variable KSELECT_DATA.
    """

    train_file: str | None = None
    dev_file: str | None = None
    test_file: str | None = None
    data_dir: str | Path | None = field(default=None, kw_only=True)

    @abstractmethod
    def task(
        self, name: str, *, reward_fraction: float = 0.1, seed: int = 0, train_limit: int | None = None
    ) -> WordTask[Any]:
        """Read the labelled sentences; arguments are those of `kselect.tasks.splits.make_splits`."""

    @abstractmethod
    def task_of(self, name: str, labels: Sequence[str]) -> WordTask[Any]:
        """Return the task, without examples, of a model that was trained on these labels."""

    @abstractmethod
    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[Any]:
        """Read the sentences that a model of `task` is to predict."""

    def _file(self, part: str) -> Path:
        """Return a split's file."""
        path = {"train": self.train_file, "dev": self.dev_file, "test": self.test_file}[part]
        if path is None:
            raise KselectError(
                f"{part}_file is missing: give the file with the {part} sentences.", setting=f"{part}_file"
            )
        return find_file(path, self.data_dir)

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
            raise KselectError(f"{self.train_file} has no sentence of two words or more: there is nothing to parse.")
        labels = tuple(sorted({relation for sentence in parts["train"] for relation in sentence.relations}))
        check_spellings({part: [s.with_relations for s in sentences] for part, sentences in parts.items()})
        for sentences in parts.values():
            _warn_of_unseen(sentences, labels)
        splits = {part: WordSplit(sentences) for part, sentences in parts.items()}
        splits = make_splits(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
        return ParsingTask(name, labels, splits, METRICS)

    def task_of(self, name: str, labels: Sequence[str]) -> ParsingTask:
        """Return the task of parsing with these relations; see `WordSource.task_of`."""
        return ParsingTask(name, tuple(labels), {}, METRICS)

    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[ParsedSentence]:
        """Read the sentences of the test file without its trees; predictions are heads and relations."""
        path = self._file("test")
        treebank = read_treebank(path, trees=False)
        return UnlabelledWords(
            WordSplit(treebank.sentences),
            path.name,
            lambda trees: treebank.text([heads for heads, _ in trees], [relations for _, relations in trees]),
            path,
        )


def _warn_of_unseen(sentences: Sequence[ParsedSentence], labels: Sequence[str]) -> None:
    unseen = Counter(name for sentence in sentences for name in sentence.relations if name not in labels)
    if unseen:
        get_logger().warning(
            "%s has %d relation%s that train does not have and no prediction gets right: %s.",
            sentences[0].origin.source,
            unseen.total(),
            "s" * (unseen.total() != 1),
            ", ".join(sorted(unseen)),
        )
