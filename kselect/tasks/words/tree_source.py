"""Dependency trees of one's own, in CoNLL-U files."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kselect.errors import UserError
from kselect.tasks.building import parted
from kselect.tasks.words.parsing_task import ParsingTask
from kselect.tasks.words.sentence import ParsedSentence
from kselect.tasks.words.source import UnlabelledWords, WordSource
from kselect.tasks.words.split import WordSplit
from kselect.tasks.words.treebank import read_treebank
from kselect.tasks.words.word_task import WordTask

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
            raise UserError(f"{self.train_file} has no sentence of two words: give some, or there is nothing to parse.")
        labels = tuple(sorted({relation for sentence in parts["train"] for relation in sentence.relations}))
        for sentences in parts.values():
            _tell_unseen(sentences, labels)
        splits = {part: WordSplit(sentences) for part, sentences in parts.items()}
        splits = parted(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
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
        logging.getLogger("kselect").warning(
            "%s has %d relation%s that train has none of, and no prediction gets right: %s.",
            sentences[0].origin.source,
            unseen.total(),
            "s" * (unseen.total() != 1),
            ", ".join(sorted(unseen)),
        )
