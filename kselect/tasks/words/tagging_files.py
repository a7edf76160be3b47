"""Tagged sentences of one's own: column files, CoNLL-U files, or a data set of the `datasets` library."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kselect.errors import KselectError, unknown
from kselect.logging import get_logger
from kselect.tasks.paths import find, resolve_path
from kselect.tasks.splits import make_splits, subsample
from kselect.tasks.words.conll import ColumnFile, read_columns
from kselect.tasks.words.conllu import Treebank, read_treebank
from kselect.tasks.words.hub_dataset import read_token_labels, splits_of
from kselect.tasks.words.parsing_files import UnlabelledWords, WordSource
from kselect.tasks.words.schemes import ALIASES, OUTSIDE, PLAIN, SCHEMES, TagSet, convert, detect, repair
from kselect.tasks.words.sentence import TaggedSentence, WordSplit
from kselect.tasks.words.tagging_task import TaggingTask, WordTask


@dataclass(frozen=True)
class TaggedData:
    """Sentences by part ("train", "dev", ...), all in the scheme of `tag_set`."""

    tag_set: TagSet
    """What training has. Another tag stays in the sentences that have it, where scores count it as missed."""
    file_scheme: str
    """The scheme that the data was read in."""
    parts: dict[str, list[TaggedSentence]]
    repaired: dict[str, list[str]]
    """Places of the impossible tags that were changed, by part."""
    unseen: dict[str, Counter[str]]
    """Tags that training does not have, and their number, by part."""


def tagged_data(
    parts: Mapping[str, Sequence[TaggedSentence]],
    *,
    scheme: str | None = None,
    model_scheme: str | None = None,
    strict: bool = False,
) -> TaggedData:
    """Bring sentences into one scheme, and say in a warning what was repaired, and what training does not have.

    Arguments:
        parts: sentences with tags; "train" is among them.
        scheme: of the data, one of `SCHEMES` or plain; by default it is told from train.
        model_scheme: that a model is to predict in; by default the data's.
        strict: refuse impossible tags rather than repair them.

    Raises `KselectError` for an unknown scheme, for plain tags that are wanted in another scheme, and as `repair` does.
    """
    known = (*SCHEMES, PLAIN)
    for name in (scheme, model_scheme):
        if name is not None and name not in known:
            raise unknown("tagging scheme", name, known)
    file_scheme = scheme or detect(parts["train"])
    model_scheme = model_scheme or file_scheme
    if (file_scheme == PLAIN) != (model_scheme == PLAIN):
        raise KselectError(
            f"Tags in the scheme {file_scheme} cannot be had in {model_scheme}: give --scheme and --file_scheme alike."
        )
    sound, repaired = {}, {}
    for part, sentences in parts.items():
        sound[part], repaired[part] = repair(sentences, file_scheme, strict=strict)
        if model_scheme != file_scheme:
            sound[part] = [sentence.tagged(convert(sentence.tags, model_scheme)) for sentence in sound[part]]
    tag_set = TagSet.of(sound["train"], model_scheme)
    data = TaggedData(
        tag_set, file_scheme, sound, repaired, {part: tag_set.unseen(sentences) for part, sentences in sound.items()}
    )
    _tell(data)
    return data


def _tell(data: TaggedData) -> None:
    log = get_logger()
    for part, sentences in data.parts.items():
        source = sentences[0].origin.source if sentences else part
        if places := data.repaired[part]:
            log.warning(
                "%s has %d tag%s impossible in %s, %sat %s, now repaired.",
                source,
                len(places),
                "s" * (len(places) != 1),
                data.file_scheme.upper(),
                "the first " * (len(places) != 1),
                places[0],
            )
        if unseen := data.unseen[part]:
            log.warning(
                "%s has %d tag%s that train has none of, and no prediction gets right: %s.",
                source,
                unseen.total(),
                "s" * (unseen.total() != 1),
                ", ".join(sorted(unseen)),
            )


UPOS, DEPREL = "upos", "deprel"
CONLLU = ".conllu"
DEV_SPLITS = ("validation", "dev")


@dataclass(frozen=True)
class TaggedSource(WordSource):
    """Sentences with a tag for each word; the tags are those of train.

    A file named *.conllu is read as CoNLL-U, and so is any where `tag_column` is upos or deprel; others are
    column files.
    """

    unlabelled_file: str | None = None
    """Sentences to learn from in place of train's, whose tags, if they have any, are not read."""
    dataset: str | None = None
    """A folder that `datasets` saved, or a name on the hub, in place of files; its validation split is dev."""
    dataset_config: str | None = None
    word_column: int | str | None = None
    """In column files its number, from 0 or from -1 backwards, by default 0; in the data set its name, tokens."""
    tag_column: int | str | None = None
    """Likewise, by default -1 and ner_tags; or of CoNLL-U upos, its default, or deprel: relations, up to the colon."""
    scheme: str | None = None
    """That a model predicts in, of `SCHEMES`, bio for iob2, or plain; by default the data's."""
    file_scheme: str | None = None
    """That the data are in; by default told from train."""
    strict: bool = False
    """Refuse impossible tags rather than repair them."""

    def __post_init__(self) -> None:
        """Call the schemes by one name."""
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
            source = parts["train"][0].origin.source
            raise KselectError(
                f"{source} has no tag but {', '.join(data.tag_set.tags)}: give the column of the tags as "
                "--tag_column, or other sentences."
            )
        splits = {part: WordSplit(sentences) for part, sentences in data.parts.items()}
        splits = make_splits(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
        if self.unlabelled_file is not None:
            train = WordSplit(self._untagged(find(self.unlabelled_file, self.data_dir)))
            splits["train"] = train if train_limit is None else subsample(train, train_limit, seed)
        return _task(name, data.tag_set, data.file_scheme, splits)

    def task_of(self, name: str, labels: Sequence[str]) -> TaggingTask:
        """Return the task of giving these tags; see `WordSource.task_of`."""
        tag_set = TagSet.named(labels, self.scheme)
        return _task(name, tag_set, self.file_scheme or tag_set.scheme, {})

    def unlabelled(self, task: WordTask[Any]) -> UnlabelledWords[TaggedSentence]:
        """Read the sentences of the test file or, without one, the data set's test split.

        Answers are tags in the file's scheme. Those of a column file stand in its column of tags, if that holds any
        that the model knows (O alone, which all schemes have, tells only where there is nothing else), and in one more
        column otherwise; those of a data set are JSON, an object a line.
        """
        assert isinstance(task, TaggingTask)
        if self.test_file is None and self.dataset is not None:
            return self._rows()
        path = self._file("test")
        if self._is_treebank(path):
            if task.tag_set.scheme != PLAIN and self.tag_column not in (UPOS, DEPREL):
                raise KselectError(
                    f"{path} is CoNLL-U, which has a column for parts of speech and none for tags in "
                    f"{task.tag_set.scheme.upper()}: give a column file, or --tag_column {UPOS} to write over them."
                )
            treebank = read_treebank(path, trees=False)
            sentences = _without_tags(treebank)

            def text(tags: Sequence[Sequence[str]]) -> str:
                return treebank.text(relations=tags) if self.tag_column == DEPREL else treebank.text(upos=tags)

            return UnlabelledWords(WordSplit(sentences), path.name, text, path)
        file = self._words(path)
        file = replace(file, tag_column=self._tags_in(file, TagSet(task.file_scheme, task.tag_set.labels)))
        return UnlabelledWords(WordSplit(file.sentences), path.name, file.text, path)

    def _untagged(self, path: Path) -> list[TaggedSentence]:
        if self._is_treebank(path):
            return _without_tags(read_treebank(path, trees=False))
        return list(self._words(path).sentences)

    def _words(self, path: Path) -> ColumnFile:
        return read_columns(path, word_column=self._number("word_column", 0), tag_column=None)

    def _labelled(self) -> dict[str, list[TaggedSentence]]:
        if self.dataset is None:
            return {part: self._read(path) for part, path in self._labelled_files().items()}
        known = splits_of(resolve_path(self.dataset, self.data_dir), self.dataset_config)
        dev = next((split for split in DEV_SPLITS if split in known), None)
        parts = {"train": "train", **({"dev": dev} if dev else {})}
        tags = self._name("tag_column", "ner_tags")
        return {part: self._read_split(split, tags) for part, split in parts.items()}

    def _read(self, path: Path) -> list[TaggedSentence]:
        if not self._is_treebank(path):
            words, tags = self._number("word_column", 0), self._number("tag_column", -1)
            return list(read_columns(path, word_column=words, tag_column=tags).sentences)
        if self.tag_column == DEPREL:
            relations = read_treebank(path, universal_relations=True)
            return [sentence.with_relations for sentence in relations.sentences]
        sentences = [sentence.with_upos for sentence in read_treebank(path, trees=False).sentences]
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                if tag in ("", "_"):
                    raise KselectError(f"{sentence.origin.place(i)} has nothing in UPOS: mend that line.")
        return sentences

    def _read_split(self, split: str, tag_column: str | None) -> list[TaggedSentence]:
        assert self.dataset is not None
        return read_token_labels(
            resolve_path(self.dataset, self.data_dir),
            split,
            config=self.dataset_config,
            word_column=self._name("word_column", "tokens"),
            tag_column=tag_column,
        )

    def _is_treebank(self, path: Path) -> bool:
        named = path.suffix.lower() == CONLLU
        if named and isinstance(self.tag_column, int):
            raise KselectError(
                f"tag_column is {self.tag_column}, and {path} is CoNLL-U: leave it out, for {UPOS}, or give {DEPREL}."
            )
        if self.tag_column not in (None, UPOS, DEPREL):
            self._number("tag_column", -1)  # which refuses a name that is no data set's
        return named or (self.tag_column in (UPOS, DEPREL) and self.dataset is None)

    def _number(self, setting: str, usual: int) -> int:
        """Return where a column stands in files; a name is that of the data set, where there is one."""
        value = getattr(self, setting)
        if isinstance(value, str) and self.dataset is None:
            raise KselectError(
                f"{setting} is '{value}': give the column's number or, of tags in CoNLL-U, {UPOS} or {DEPREL}."
            )
        return value if isinstance(value, int) else usual

    def _name(self, setting: str, usual: str) -> str:
        """Return what a column of the data set is called; a number is that of the file to predict."""
        value = getattr(self, setting)
        return value if isinstance(value, str) else usual

    def _tags_in(self, file: ColumnFile, known: TagSet) -> int | None:
        """Return the column in which a file to predict has tags."""
        place = file.place_of(self._number("tag_column", -1))
        if place is None or place == file.place_of(self._number("word_column", 0)):
            return None
        found, tags = file.values(place), set(known.tags)
        return place if (found - {OUTSIDE}) & tags or found <= tags else None

    def _rows(self) -> UnlabelledWords[TaggedSentence]:
        sentences = self._read_split("test", None)
        words, column = self._name("word_column", "tokens"), self._name("tag_column", "ner_tags")

        def text(answers: Sequence[Sequence[str]]) -> str:
            rows = (
                {"row": sentence.origin.row, words: sentence.words, column: tags}
                for sentence, tags in zip(sentences, answers, strict=True)
            )
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

        return UnlabelledWords(WordSplit(sentences), f"{Path(str(self.dataset)).name}.jsonl", text)


def _without_tags(treebank: Treebank) -> list[TaggedSentence]:
    return [sentence.with_upos.tagged(()) for sentence in treebank.sentences]


def _task(name: str, tag_set: TagSet, file_scheme: str, splits: dict[str, WordSplit[TaggedSentence]]) -> TaggingTask:
    metrics = ("accuracy",) if tag_set.scheme == PLAIN else ("f1",)
    return TaggingTask(name, tag_set.tags, splits, metrics, tag_set, file_scheme)
