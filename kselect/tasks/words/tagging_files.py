"""Custom datasets of tagged sentences: column files, CoNLL-U, JSONL or Parquet, or a data set of `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kselect.errors import KselectError
from kselect.tasks.hub import DEV_SPLITS, open_dataset, split_names
from kselect.tasks.paths import find_file, resolve_path
from kselect.tasks.readers import read_table
from kselect.tasks.splits import make_splits, subsample
from kselect.tasks.words.conll import ColumnFile, read_columns
from kselect.tasks.words.conllu import Treebank, read_treebank
from kselect.tasks.words.hub_dataset import TAG_COLUMN, WORD_COLUMN, read_token_labels, table_sentences, write_jsonl
from kselect.tasks.words.parsing_files import UnlabelledWords, WordSource
from kselect.tasks.words.schemes import ALIASES, OUTSIDE, PLAIN, TagSet
from kselect.tasks.words.sentence import TaggedSentence, WordSplit
from kselect.tasks.words.tagged_data import tagged_data
from kselect.tasks.words.tagging_task import TaggingTask, WordTask

UPOS, DEPREL = "upos", "deprel"
"""Columns of CoNLL-U that tags can be read from."""
CONLLU = ".conllu"
TABLES = (".jsonl", ".json", ".parquet")
"""Suffixes of files with a sentence a row."""


@dataclass(frozen=True)
class TaggedSource(WordSource):
    """Sentences with a tag for each word; the tags are those of train.

    A file named *.conllu is read as CoNLL-U, and so is any where `tag_column` is upos or deprel; *.jsonl, *.json and
    *.parquet have a list of words and a list of tags a row; others are column files.

    Attributes:
        unlabelled_file: sentences to learn from in place of train's; tags in it are not read.
        dataset: a folder that `datasets` saved, or a name on the hub, in place of files; its validation split is dev.
        dataset_config: which configuration of a data set on the hub.
        word_column: in column files its number, from 0 or from -1 backwards, by default 0; elsewhere its name, by
            default tokens.
        tag_column: likewise, by default -1 and ner_tags; of CoNLL-U upos, its default, or deprel (up to the colon).
        scheme: that a model predicts in, one of `SCHEMES`, bio for iob2, or plain; by default the data's.
        file_scheme: that the data is in; by default inferred from train.
        strict: refuse impossible tags rather than repair them.
    """

    unlabelled_file: str | None = None
    dataset: str | None = None
    dataset_config: str | None = None
    word_column: int | str | None = None
    tag_column: int | str | None = None
    scheme: str | None = None
    file_scheme: str | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        """Replace other names of the schemes."""
        for setting in ("scheme", "file_scheme"):
            name = getattr(self, setting)
            object.__setattr__(self, setting, ALIASES.get(name, name))

    def task(
        self, name: str, *, reward_fraction: float = 0.1, seed: int = 0, train_limit: int | None = None
    ) -> TaggingTask:
        """Read the tags of train and dev; see `WordSource.task`."""
        parts = self._labelled()
        data = tagged_data(parts, scheme=self.file_scheme, model_scheme=self.scheme, strict=self.strict)
        if len(data.tag_set) < 2:
            raise KselectError(
                f"{parts['train'][0].origin.source} has no tag but {', '.join(data.tag_set.tags)}: give the column of "
                "the tags as tag_column, or other sentences.",
                setting="tag_column",
            )
        splits = {part: WordSplit(sentences) for part, sentences in data.parts.items()}
        splits = make_splits(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
        if self.unlabelled_file is not None:
            train = self.untagged(self.unlabelled_file)
            splits["train"] = subsample(train, train_limit or len(train), seed)
        return _task(name, data.tag_set, data.file_scheme, splits)

    def untagged(self, path: str) -> WordSplit[TaggedSentence]:
        """Read the sentences of a file without their tags."""
        return WordSplit(self._untagged(find_file(path, self.data_dir)))

    def task_of(self, name: str, labels: Sequence[str]) -> TaggingTask:
        """Return the task of predicting these tags; see `WordSource.task_of`."""
        tag_set = TagSet.named(labels, self.scheme)
        return _task(name, tag_set, self.file_scheme or tag_set.scheme, {})

    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[TaggedSentence]:
        """Read the sentences of the test file or, without one, the data set's test split.

        Predictions are tags in the file's scheme. Those of a column file are written into its column of tags, if that
        has any that the model knows (O alone, which all schemes have, counts only where there is nothing else), and
        into one more column otherwise; those of rows are JSON, an object a line.
        """
        assert isinstance(task, TaggingTask)
        if self.test_file is None and self.dataset is not None:
            return self._unlabelled_rows(self._read_split("test", None), Path(self.dataset).name)
        path = self._file("test")
        if path.suffix.lower() in TABLES:
            sentences = table_sentences(read_table(path), self._name("word_column", WORD_COLUMN), None)
            return self._unlabelled_rows(sentences, path.stem, path)
        if self._is_treebank(path):
            return self._unlabelled_treebank(path, task)
        file = self._read_words(path)
        file = replace(file, tag_column=self._tags_in(file, TagSet(task.file_scheme, task.tag_set.labels)))
        return UnlabelledWords(WordSplit(file.sentences), path.name, file.text, path)

    def _unlabelled_treebank(self, path: Path, task: TaggingTask) -> UnlabelledWords[TaggedSentence]:
        if task.tag_set.scheme != PLAIN and self.tag_column not in (UPOS, DEPREL):
            raise KselectError(
                f"{path} is CoNLL-U, which has a column for parts of speech and none for tags in "
                f"{task.tag_set.scheme.upper()}: give a column file, or {UPOS} as tag_column to write over them.",
                setting="tag_column",
            )
        treebank = read_treebank(path, trees=False)

        def text(tags: Sequence[Sequence[str]]) -> str:
            return treebank.text(relations=tags) if self.tag_column == DEPREL else treebank.text(upos=tags)

        return UnlabelledWords(WordSplit(_without_tags(treebank)), path.name, text, path)

    def _unlabelled_rows(
        self, sentences: list[TaggedSentence], name: str, path: Path | None = None
    ) -> UnlabelledWords[TaggedSentence]:
        words, tags = self._name("word_column", WORD_COLUMN), self._name("tag_column", TAG_COLUMN)

        def text(answers: Sequence[Sequence[str]]) -> str:
            return write_jsonl(sentences, answers, words, tags)

        return UnlabelledWords(WordSplit(sentences), f"{name}.jsonl", text, path)

    def _labelled(self) -> dict[str, list[TaggedSentence]]:
        if self.dataset is None:
            return {part: self._read(path) for part, path in self._labelled_files().items()}
        names = split_names(open_dataset(resolve_path(self.dataset, self.data_dir), self.dataset_config))
        dev = next((split for split in DEV_SPLITS if split in names), None)
        parts = {"train": "train", **({"dev": dev} if dev else {})}
        tags = self._name("tag_column", TAG_COLUMN)
        return {part: self._read_split(split, tags) for part, split in parts.items()}

    def _read(self, path: Path) -> list[TaggedSentence]:
        if path.suffix.lower() in TABLES:
            words, tags = self._name("word_column", WORD_COLUMN), self._name("tag_column", TAG_COLUMN)
            return table_sentences(read_table(path), words, tags)
        if not self._is_treebank(path):
            number = self._number("word_column", 0)
            return list(read_columns(path, word_column=number, tag_column=self._number("tag_column", -1)).sentences)
        if self.tag_column == DEPREL:
            relations = read_treebank(path, universal_relations=True)
            return [sentence.with_relations for sentence in relations.sentences]
        sentences = [sentence.with_upos for sentence in read_treebank(path, trees=False).sentences]
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                if tag in ("", "_"):
                    raise KselectError(f"{sentence.origin.place(i)} has nothing in UPOS: fix that line.")
        return sentences

    def _untagged(self, path: Path) -> list[TaggedSentence]:
        if path.suffix.lower() in TABLES:
            return table_sentences(read_table(path), self._name("word_column", WORD_COLUMN), None)
        if self._is_treebank(path):
            return _without_tags(read_treebank(path, trees=False))
        return list(self._read_words(path).sentences)

    def _read_words(self, path: Path) -> ColumnFile:
        return read_columns(path, word_column=self._number("word_column", 0), tag_column=None)

    def _read_split(self, split: str, tag_column: str | None) -> list[TaggedSentence]:
        assert self.dataset is not None
        return read_token_labels(
            resolve_path(self.dataset, self.data_dir),
            split,
            config=self.dataset_config,
            word_column=self._name("word_column", WORD_COLUMN),
            tag_column=tag_column,
        )

    def _is_treebank(self, path: Path) -> bool:
        named = path.suffix.lower() == CONLLU
        if named and isinstance(self.tag_column, int):
            raise KselectError(
                f"tag_column is {self.tag_column}, and {path} is CoNLL-U: leave it out, for {UPOS}, or give {DEPREL}.",
                setting="tag_column",
            )
        if self.tag_column not in (None, UPOS, DEPREL):
            self._number("tag_column", -1)  # which refuses a name, except with a data set
        return named or (self.tag_column in (UPOS, DEPREL) and self.dataset is None)

    def _number(self, setting: str, default: int) -> int:
        """Return the number of a column in column files; a name is that of the data set, where there is one."""
        value = getattr(self, setting)
        if isinstance(value, str) and self.dataset is None:
            raise KselectError(
                f"{setting} is '{value}': give the column's number or, of tags in CoNLL-U, {UPOS} or {DEPREL}.",
                setting=setting,
            )
        return value if isinstance(value, int) else default

    def _name(self, setting: str, default: str) -> str:
        """Return the name of a column in rows; a number is that of the column file to predict."""
        value = getattr(self, setting)
        return value if isinstance(value, str) else default

    def _tags_in(self, file: ColumnFile, known: TagSet) -> int | None:
        """Return the column in which a file to predict has tags."""
        column = file.column_index(self._number("tag_column", -1))
        if column is None or column == file.column_index(self._number("word_column", 0)):
            return None
        values, tags = file.values(column), set(known.tags)
        return column if (values - {OUTSIDE}) & tags or values <= tags else None


def _without_tags(treebank: Treebank) -> list[TaggedSentence]:
    return [sentence.with_upos.tagged(()) for sentence in treebank.sentences]


def _task(name: str, tag_set: TagSet, file_scheme: str, splits: dict[str, WordSplit[TaggedSentence]]) -> TaggingTask:
    metrics = ("accuracy",) if tag_set.scheme == PLAIN else ("f1",)
    return TaggingTask(name, tag_set.tags, splits, metrics, tag_set, file_scheme)
