"""What is learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kselect.config.checks import one_of, require

OF_TEXTS = ("text_columns", "label_column", "labels", "regression", "metrics", "id_column")
"""Settings for whole texts in files of one's own."""
OF_TAGS = (
    "unlabelled_file",
    "dataset",
    "dataset_config",
    "word_column",
    "tag_column",
    "scheme",
    "file_scheme",
    "strict",
)
"""Settings for tagged sentences."""
TREEBANK_TAGS = ("upos", "deprel")
"""Columns of CoNLL-U that tags can be read from, the usual one first."""
Scheme = Literal["iob1", "iob2", "bio", "bioes", "bilou", "plain"]
TASK_TYPES = ("text", "tags", "trees")
WORD_FILES = (".conll", ".conllu", ".bio", ".iob")
"""What names of files of sentences, word by word, end in."""


@dataclass
class TaskConfig:
    """Task: what is learned, and from which data."""

    task: str | None = None
    """Task name: synthetic-acceptability (the default), synthetic-entailment, synthetic-topics, cola, sst2, mrpc, stsb,
    qqp, mnli, qnli, rte or wnli; with data of your own, any name, by default that of the file."""
    task_type: Literal["text", "tags", "trees"] = "text"
    """What is labelled in data of your own: whole texts, words by tags, or words by their heads (see docs/tasks.md)."""
    data_dir: str | None = None
    """Folder of GLUE's data, TSV files or saved by datasets, and of what is not here of your own; by default the
    environment variable KSELECT_DATA or, without it, the hub."""
    train_file: str | None = None
    """Data of your own: a TSV, CSV, JSONL or Parquet file; for tags one of columns or CoNLL-U, for trees CoNLL-U."""
    unlabelled_file: str | None = None
    """Tags: sentences to learn from in place of train's, by knowledge that needs no labels, such as text of another
    language; train_file then gives the tags that there are and, held out of it, the reward split and, where there is no
    dev_file, dev."""
    dev_file: str | None = None
    """Examples for reporting; by default a tenth of train is held out."""
    test_file: str | None = None
    """Examples without labels, for `kselect predict`."""
    dataset: str | None = None
    """Tags in place of files: a folder that datasets saved, or a data set on the hub."""
    dataset_config: str | None = None
    """Which configuration of a data set on the hub."""
    word_column: int | str | None = None
    """Column of the words in files of tags, counted from 0 or from -1 backwards, 0 by default; in a data set its name,
    tokens by default."""
    tag_column: int | str | None = None
    """Column of the tags likewise, -1 by default, and in CoNLL-U upos, or deprel for words' relations; in a data set
    ner_tags by default."""
    scheme: Scheme | None = None
    """Scheme of the tags that a model gives; by default that of the files. IOB2 is called bio, too."""
    file_scheme: Scheme | None = None
    """Scheme of the tags in the files; by default told from those of train."""
    strict: bool = False
    """Whether to refuse tags that are impossible in their scheme, which are repaired otherwise."""
    text_columns: list[str] | None = None
    """Column of the text in your files, or the two of a pair."""
    label_column: str | None = None
    """Column of the label in your files; label by default."""
    labels: list[str] | None = None
    """The labels in your files, in the order of their ids; by default those of train_file, sorted."""
    regression: bool = False
    """Whether the labels in your files are scores."""
    metrics: list[str] | None = None
    """Metrics for your files, out of accuracy, f1, macro_f1, matthews and, for scores, pearson, spearman."""
    id_column: str | None = None
    """Column of a name for each example, that predictions are written with."""
    max_length: int | None = None
    """Longest input in tokens; longer texts are cut, longer sentences of words read in pieces, and both are counted; by
    default 128 for texts, or what the model takes."""
    reward_fraction: float = 0.1
    """Share of train held out to measure rewards and to choose anything by."""
    train_limit: int | None = None
    """Use only this many examples of train, and of dev (stratified slices), for a quick look."""
    data_seed: int = 0
    """Seed of the splits and of the synthetic data; kept apart from the seed of a run."""

    @property
    def own(self) -> bool:
        """Whether the data are one's own."""
        return any(path is not None for path in (self.train_file, self.test_file, self.dataset))

    def require_labels(self, reader: str) -> None:
        """Refuse to learn from sentences without labels what reads them.

        Raises:
            KselectError: there is an `unlabelled_file`.
        """
        require(
            self.unlabelled_file is None,
            f"{reader} reads the labels of what is learned from, and unlabelled_file has none: leave that file out.",
        )

    def __post_init__(self) -> None:
        one_of("task_type", self.task_type, TASK_TYPES)
        for setting in OF_TAGS:
            require(
                self.task_type == "tags" or not self._names(setting),
                f"{setting} is for tagged sentences, and task_type is {self.task_type}: give task_type tags.",
            )
        for setting in OF_TEXTS:
            require(
                self.task_type == "text" or not self._names(setting),
                f"{setting} is for whole texts, and task_type is {self.task_type}: leave it out.",
            )
        for setting in ("dev_file", *OF_TEXTS):
            require(
                self.own or not self._names(setting),
                f"{setting} is for data of your own: give train_file, or for predictions test_file, with it.",
            )
        if self.task_type == "text":
            self._check_texts()
        else:
            self._check_words()
        require(
            self.max_length is None or self.max_length >= 4, f"max_length is {self.max_length}: give at least 4 tokens."
        )
        require(self.data_seed >= 0, f"data_seed is {self.data_seed}: give 0 or more.")
        require(
            0 < self.reward_fraction < 1,
            f"reward_fraction is {self.reward_fraction}: give a share of train between 0 and 1.",
        )
        require(
            self.train_limit is None or self.train_limit > 0,
            f"train_limit is {self.train_limit}: give a positive number of examples.",
        )

    def _check_texts(self) -> None:
        """Refuse files of words, and texts in no column."""
        for path in filter(None, (self.train_file, self.dev_file, self.test_file)):
            suffix = Path(path).suffix.lower()
            types = "tags or --task_type trees" if suffix == ".conllu" else "tags"
            require(
                suffix not in WORD_FILES, f"{path} holds sentences, word by word, not texts: give --task_type {types}."
            )
        require(
            not self.own or bool(self.text_columns),
            "--text_columns is missing: name the column of the text, or two; of sentences whose words are labelled, "
            "give --task_type.",
        )

    def _check_words(self) -> None:
        """Refuse contradictions in where words and their labels are."""
        in_place = " or dataset" * (self.task_type == "tags")
        require(
            self.own, f"task_type {self.task_type} has no data: give train_file{in_place}, or to predict test_file."
        )
        for setting in ("train_file", "dev_file"):
            require(
                self.dataset is None or not self._names(setting), f"{setting} and dataset exclude each other: give one."
            )
        require(
            self.dataset is not None or not self._names("dataset_config"),
            "dataset_config is of a dataset: give dataset, too.",
        )
        require(
            self.unlabelled_file is None or self.train_file is not None or self.dataset is not None,
            "unlabelled_file has no tags to be learned: give train_file, too, for those that there are.",
        )
        of_treebank = f" or, in CoNLL-U, {' or '.join(TREEBANK_TAGS)}"
        for setting, other in (("word_column", ""), ("tag_column", of_treebank)):
            value = getattr(self, setting)
            require(
                self.dataset is None or bool(self.test_file or self.unlabelled_file) or not isinstance(value, int),
                f"{setting} is {value}, and columns of a dataset have names: give one.",
            )
            require(
                self.dataset is not None or not isinstance(value, str) or (bool(other) and value in TREEBANK_TAGS),
                f"{setting} is '{value}': give a whole number{other}.",
            )

    def _names(self, setting: str) -> bool:
        """Whether a setting is given."""
        value: Any = getattr(self, setting)
        return value is not None and value is not False and value != []
