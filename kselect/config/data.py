"""The task, and its data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kselect.config.validation import Config, names_with, require, setting

TREEBANK_TAGS = ("upos", "deprel")
"""Columns of CoNLL-U that tags can be read from, the usual one first."""
Scheme = Literal["iob1", "iob2", "bio", "bioes", "bilou", "plain"]
FileScheme = Literal["iob1", "iob2", "bio", "bioes", "bilou", "bmes", "bmewo", "plain"]
ROW_FILES = (".jsonl", ".json", ".parquet")
"""Suffixes of files of rows, whose columns have names."""
WORD_FILES = (".conll", ".conllu", ".bio", ".iob")
"""Suffixes of files that hold sentences, word by word."""


@dataclass(frozen=True)
class TaskConfig(Config):
    """Task: what is learned, and from which data."""

    task: str | None = setting(None, describes_data=True)
    """Task name: cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli or, with generated data, synthetic-acceptability,
    synthetic-entailment or synthetic-topics; a custom dataset may have any name, by default that of its file."""
    task_type: Literal["text", "tags", "trees"] = "text"
    """What is labelled in a custom dataset: whole texts, words by tags, or words by their heads (see docs/tasks.md)."""
    data_dir: str | None = None
    """Folder of GLUE's data, TSV files or saved by datasets, and of other files that are not in the working folder; by
    default the environment variable KSELECT_DATA or, without it, the hub."""
    train_file: str | None = setting(None, describes_data=True, is_data_source=True)
    """Custom dataset: a TSV, CSV, JSONL or Parquet file; column files or CoNLL-U for tags, CoNLL-U for trees."""
    unlabelled_file: str | None = setting(None, group="texts and tags", describes_data=True)
    """Texts or sentences to learn from in place of train's, by knowledge that needs no labels, such as text of another
    language; train_file then gives the labels and, held out of it, the reward split and, where there is no dev_file,
    dev."""
    transfer_file: str | None = setting(None, group="texts and tags", describes_data=True)
    """Further texts or sentences without labels, which a teacher labels; how many of the batches are drawn from them is
    part of each selection, as transfer (see docs/texts.md)."""
    transfer_columns: list[str] | None = setting(None, describes_data=True)
    """Column of the text in transfer_file, or the two of a pair; by default those of the task."""
    transfer_limit: int | None = setting(None, describes_data=True)
    """Maximum number of texts of transfer_file."""
    augment: int | None = setting(None, group="texts and tags", describes_data=True)
    """Number of copies of each text of train in which words are replaced by similar ones, as TinyBERT's data
    augmentation does; a teacher labels them, and how many of the batches are drawn from them is part of each selection,
    as augmented (see docs/texts.md)."""
    augment_rate: float | None = setting(None, describes_data=True)
    """Probability that a word of such a copy is replaced; 0.4 by default."""
    augment_model: str | None = setting(None, describes_data=True)
    """Folder or hub id of a pretrained encoder whose masked-language head predicts the replacements; by default they
    are the nearest neighbours among the teacher's input embeddings."""
    dev_file: str | None = setting(None, describes_data=True)
    """Examples for reporting; by default a tenth of train is held out."""
    test_file: str | None = setting(None, describes_data=True)
    """Examples without labels, for `kselect predict`; - reads standard input: JSON lines with text_columns, or plain
    texts, one a line, or two separated by a tab; of words, a column file or CoNLL-U."""
    dataset: str | None = setting(None, group="texts and tags", describes_data=True, is_data_source=True)
    """Texts or tags in place of files: a folder that datasets saved, or a dataset on the hub."""
    dataset_config: str | None = setting(None, group="texts and tags", describes_data=True)
    """Configuration of a dataset on the hub."""
    word_column: int | str | None = setting(None, group="tags")
    """Column of the words in files of tags, counted from 0 or from -1 backwards, 0 by default; in a dataset, JSONL or
    Parquet its name, tokens by default."""
    tag_column: int | str | None = setting(None, group="tags")
    """Column of the tags likewise, -1 by default, and in CoNLL-U upos, or deprel for words' relations; in a dataset,
    JSONL or Parquet ner_tags by default."""
    scheme: Scheme | None = setting(None, group="tags")
    """Scheme of the tags that a model predicts; by default that of the files. IOB2 is called bio, too."""
    file_scheme: FileScheme | None = setting(None, group="tags", describes_data=True)
    """Scheme of the tags in the files; by default that of train."""
    strict: bool = setting(False, group="tags")
    """Refuse tags that are impossible in their scheme; by default they are repaired."""
    text_columns: list[str] | None = setting(None, group="texts")
    """Column of the text in the files, or the two of a pair."""
    label_column: str | None = setting(None, group="texts")
    """Column of the label in the files; label by default."""
    labels: list[str] | None = setting(None, group="texts")
    """The labels in the files, in the order of their ids; by default those of train_file, sorted."""
    multi_label: bool = setting(False, group="texts")
    """A text may have several labels, or none: label_column holds a list, or a text with labels between separators."""
    label_separator: str | None = setting(None, group="texts")
    """What is between several labels in a text; a comma by default."""
    regression: bool = setting(False, group="texts")
    """The labels in the files are scores."""
    teacher_columns: list[str] | None = setting(None, group="texts", describes_data=True)
    """Columns of a teacher's answers, such as a language model's: the probability of each label, in their order, or a
    score; with them no teacher need be given, and rows may lack a label (see docs/teachers.md)."""
    teacher_values: Literal["probabilities", "logits"] | None = setting(None, group="texts", describes_data=True)
    """What teacher_columns hold for labels; probabilities by default."""
    metrics: list[str] | None = setting(None, group="texts")
    """Metrics for the files, out of accuracy, f1, macro_f1, matthews, for several labels a text micro_f1, macro_f1 and,
    for scores, pearson, spearman."""
    id_column: str | None = setting(None, group="texts")
    """Column of ids, which are written with the predictions."""
    max_length: int | None = None
    """Longest input in tokens; longer texts are cut, longer sentences of words read in pieces, and both are counted; by
    default 128 for texts, or what the model takes."""
    reward_fraction: float = 0.1
    """Share of train held out to measure rewards and to make choices."""
    train_limit: int | None = setting(None, describes_data=True)
    """Maximum number of examples of train, and of dev (stratified), for a quick trial."""
    data_seed: int = 0
    """Seed of the splits and of the synthetic data; independent of the seed of a run."""

    @property
    def own(self) -> bool:
        """Whether the data are custom files or a custom dataset."""
        return any(path is not None for path in (self.train_file, self.test_file, self.dataset))

    def require_labels(self, reader: str) -> None:
        """Refuse to train on sentences without labels what reads labels."""
        require(
            self.teacher_columns is None,
            f"{reader} reads no answers of a teacher in columns: leave teacher_columns out.",
            "teacher_columns",
        )
        for name in ("unlabelled_file", "transfer_file"):
            require(
                getattr(self, name) is None,
                f"{reader} reads the labels of the training data, and {name} has none: leave that file out.",
                name,
            )
        require(
            self.augment is None,
            f"{reader} reads the labels of the training data, and augmented texts have none: leave augment out.",
            "augment",
        )

    def validate(self) -> None:
        """Refuse settings for another type of task or of data, and numbers out of range."""
        texts, tags = (names_with(TaskConfig, group=group) for group in ("texts", "tags"))
        for name in tags:
            self._check_given(
                name,
                self.task_type == "tags",
                "for tagged sentences",
                f"task_type is {self.task_type}: give task_type tags",
            )
        for name in names_with(TaskConfig, group="texts and tags"):
            self._check_given(
                name,
                self.task_type != "trees",
                "for texts and tagged sentences",
                "task_type is trees: leave it out",
            )
        for name in texts:
            self._check_given(
                name, self.task_type == "text", "for whole texts", f"task_type is {self.task_type}: leave it out"
            )
        for name in ("dev_file", *texts):
            require(
                self.own or not self._is_given(name),
                f"{name} is for a custom dataset: give train_file, or for predictions test_file, with it.",
                name,
            )
        self._check_sources()
        if self.task_type == "text":
            self._check_texts()
        else:
            self._check_words()
        self.require("max_length", self.max_length is None or self.max_length >= 4, "give at least 4 tokens")
        self.require("data_seed", self.data_seed >= 0, "give 0 or more")
        self.require("reward_fraction", 0 < self.reward_fraction < 1, "give a share of train between 0 and 1")
        limited = self.train_limit is None or self.train_limit > 0
        self.require("train_limit", limited, "give a positive number of examples")
        limited = self.transfer_limit is None or self.transfer_limit > 0
        self.require("transfer_limit", limited, "give a positive number of texts")
        for name in ("transfer_columns", "transfer_limit"):
            require(
                self.transfer_file is not None or not self._is_given(name),
                f"{name} describes the texts of transfer_file: give transfer_file, too.",
                "transfer_file",
            )
        self._check_augmentation()
        self._check_teacher_columns()
        require(
            self.multi_label or self.label_separator is None,
            "label_separator is between several labels of a text: give multi_label, too.",
            "multi_label",
        )
        require(
            self.transfer_columns is None or self.task_type == "text",
            f"transfer_columns is for whole texts, and task_type is {self.task_type}: leave it out.",
            "transfer_columns",
        )

    def _check_augmentation(self) -> None:
        """Refuse numbers out of range, and settings of copies where there are none."""
        rate = self.augment_rate
        self.require("augment", self.augment is None or self.augment > 0, "give a positive number of copies")
        self.require("augment_rate", rate is None or 0 < rate <= 1, "give a probability above 0 and up to 1")
        self.require("augment_model", self.augment_model != "", "give the folder of an encoder, or leave it out")
        for name in ("augment_rate", "augment_model"):
            require(
                self.augment is not None or getattr(self, name) is None,
                f"{name} says how texts are augmented: give augment, the number of copies, too.",
                "augment",
            )

    def _check_teacher_columns(self) -> None:
        """Refuse columns of answers that some texts cannot have, and columns named twice or not at all."""
        columns = self.teacher_columns
        if columns is not None:
            named = ", ".join(columns)
            require(len(columns) > 0, "teacher_columns is empty: name one for each label.", "teacher_columns")
            require(len(set(columns)) == len(columns), f"teacher_columns names one twice: {named}.", "teacher_columns")
            require(
                self.augment is None,
                "augment makes texts for which teacher_columns have no answers: leave one of the two out.",
                "augment",
            )
        require(
            columns is not None or self.teacher_values is None,
            "teacher_values says what teacher_columns hold: give teacher_columns, too.",
            "teacher_columns",
        )

    def require_one_label(self, reader: str) -> None:
        """Refuse texts with several labels for what reads one class of each."""
        require(not self.multi_label, f"{reader} reads one label for each text: leave multi_label out.", "multi_label")

    def _check_sources(self) -> None:
        """Refuse contradictions in where a custom dataset is."""
        for name in ("train_file", "dev_file"):
            require(
                self.dataset is None or not self._is_given(name),
                f"{name} and dataset exclude each other: give one.",
                name,
            )
        require(
            self.dataset is not None or not self._is_given("dataset_config"),
            "dataset_config is of a dataset: give dataset, too.",
            "dataset",
        )
        require(
            self.unlabelled_file is None or self.train_file is not None or self.dataset is not None,
            "unlabelled_file has no labels to be learned: give train_file, too, which has them.",
            "train_file",
        )

    def _check_texts(self) -> None:
        """Refuse files of words, and texts in no column."""
        for name in ("train_file", "dev_file", "test_file"):
            path = getattr(self, name) or ""
            suffix = Path(path).suffix.lower()
            types = "tags or trees" if suffix == ".conllu" else "tags"
            require(
                suffix not in WORD_FILES,
                f"{path} holds sentences, word by word, not texts: give task_type {types}.",
                "task_type",
            )
        require(
            not self.own or bool(self.text_columns) or self.test_file == "-",
            "text_columns is missing: name the column of the text, or two; of sentences whose words are labelled, "
            "give task_type.",
            "text_columns",
        )

    def _check_words(self) -> None:
        """Refuse contradictions in where words and their labels are."""
        in_place = " or dataset" * (self.task_type == "tags")
        require(
            self.own,
            f"task_type {self.task_type} has no data: give train_file{in_place}, or to predict test_file.",
            "train_file",
        )
        parts = (self.train_file, self.dev_file, self.test_file, self.unlabelled_file, self.transfer_file)
        files = filter(None, parts)
        has_rows = self.dataset is not None or any(Path(file).suffix.lower() in ROW_FILES for file in files)
        of_treebank = f" or, in CoNLL-U, {' or '.join(TREEBANK_TAGS)}"
        for name, other in (("word_column", ""), ("tag_column", of_treebank)):
            value = getattr(self, name)
            require(
                self.dataset is None or bool(self.test_file or self.unlabelled_file) or not isinstance(value, int),
                f"{name} is {value}, and columns of a dataset have names: give one.",
                name,
            )
            require(
                has_rows or not isinstance(value, str) or (bool(other) and value in TREEBANK_TAGS),
                f"{name} is '{value}': give a whole number{other}.",
                name,
            )

    def _check_given(self, name: str, applies: bool, purpose: str, reason: str) -> None:
        require(applies or not self._is_given(name), f"{name} is {purpose}, and {reason}.", name)

    def _is_given(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value is not False and value != []  # a column may be 0
