"""Custom datasets of whole texts: files with named columns, or data sets of the `datasets` library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from kselect.errors import KselectError
from kselect.tasks.hub import DEV_SPLITS, dataset_table, open_dataset, select_split, split_names
from kselect.tasks.labels import find_labels
from kselect.tasks.multi_label import find_label_names, label_lists
from kselect.tasks.paths import find_file, resolve_path
from kselect.tasks.readers import read_table
from kselect.tasks.source import Columns, Source, Unlabelled
from kselect.tasks.splits import Split
from kselect.tasks.table import Table
from kselect.tasks.table_stream import stream_dataset, stream_input, stream_table
from kselect.tasks.teacher_columns import Logits, Values, read_logits


@dataclass(frozen=True)
class TextFiles:
    """A custom dataset of labelled texts or pairs of texts: TSV, CSV, JSONL or Parquet files, or a `datasets` data set.

    Attributes:
        text_columns: one column, or two for a pair; not needed for plain texts on standard input.
        train_file: labelled examples to learn from.
        dev_file: examples for reporting; without it dev is held out of train.
        test_file: examples to predict; `-` is standard input, see `kselect.tasks.table_stream.stream_input`.
        label_column: column of the labels.
        labels: what the data has for each label, in id order; by default what it declares, or what train has, sorted.
        regression: whether labels are scores.
        metrics: by default accuracy, with F1 where there are two classes; Pearson and Spearman in a regression.
        id_column: column of unique ids, which predictions are written with.
        unlabelled_file: texts to learn from in place of train's; labels in it are not read.
        dataset: a folder that `datasets` saved, or a name on the hub, in place of files; its validation split is dev.
        dataset_config: which configuration of a data set on the hub.
        teacher_columns: columns that hold a teacher's answers: one for each label, in their order, or one for scores.
            Rows without a label are then learned from by these alone.
        multi_label: whether a text may have several labels, or none.
        label_separator: what is between them in a text; a comma by default. Lists need none.
        teacher_values: what they hold, for labels; by default probabilities.
        data_dir: where files are that are not in the current folder; by default the environment variable KSELECT_DATA.
    """

    text_columns: Sequence[str] = ()
    train_file: str | None = None
    dev_file: str | None = None
    test_file: str | None = None
    label_column: str = "label"
    labels: Sequence[str] | None = None
    regression: bool = False
    metrics: Sequence[str] | None = None
    id_column: str | None = None
    unlabelled_file: str | None = field(default=None, kw_only=True)
    dataset: str | None = field(default=None, kw_only=True)
    dataset_config: str | None = field(default=None, kw_only=True)
    teacher_columns: Sequence[str] | None = field(default=None, kw_only=True)
    teacher_values: Values | None = field(default=None, kw_only=True)
    multi_label: bool = field(default=False, kw_only=True)
    label_separator: str | None = field(default=None, kw_only=True)
    data_dir: str | Path | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse settings that no data could fit."""
        if len(self.text_columns) not in ((0, 1, 2) if self.test_file == "-" else (1, 2)):
            raise KselectError(
                f"text_columns names {len(self.text_columns)} columns: give one, or two for pairs.",
                setting="text_columns",
            )
        if self.regression and self.labels is not None:
            raise KselectError("labels and regression exclude each other: scores have no label names.")
        if self.regression and self.multi_label:
            raise KselectError("multi_label and regression exclude each other: scores have no labels.")
        if self.labels is not None and len(self.labels) < 2:
            raise KselectError(
                f"labels names {len(self.labels)}: give two or more, or regression for scores.", setting="labels"
            )
        if self.labels and len(set(self.labels)) != len(self.labels):
            raise KselectError(f"labels names one twice: {', '.join(self.labels)}.", setting="labels")

    def labelled(self) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Split]]:
        """Return the labels, the metrics, and the splits "train" and, where the data has it, "dev"."""
        tables = self._every_table()
        if self.teacher_columns:
            tables["train"] = self._with_labels(tables["train"], True)
        labels: tuple[str, ...] = ()
        usual: tuple[str, ...] = ("pearson", "spearman")
        if self.multi_label:
            labels = tuple(self.labels or self._find_several(tables["train"]))
            usual = ("micro_f1", "macro_f1")
        elif not self.regression:
            labels = tuple(self.labels or find_labels(tables["train"], self.label_column))
            usual = ("accuracy", "f1") if len(labels) == 2 else ("accuracy",)
        label_ids = {label: i for i, label in enumerate(labels)} or None
        remedy = "fix or remove that row, or give every label as labels"
        separator = self.label_separator
        source = Source(tables.__getitem__, self._columns, label_ids, remedy, self.multi_label, separator)
        splits = {part: source.split(part) for part in tables}
        for part, table in tables.items():
            if self._reads_teacher(part, table):
                splits[part] = replace(splits[part], teacher_logits=self._logits(table, labels))
        return labels, tuple(self.metrics or usual), splits

    def without_labels(self, labels: Sequence[str]) -> Split | None:
        """Return the rows of train that have a teacher's answer and no label; None where there are none.

        Args:
            labels: the labels, as `labelled` returns them.
        """
        if not self.teacher_columns or self.unlabelled_file is not None:
            return None
        train = self._every_table()["train"]
        if all(train.has_value(self.label_column)):
            return None
        return self._answered(self._with_labels(train, False), labels)

    def unlabelled_train(self, labels: Sequence[str] = (), setting: str = "text_columns") -> Split | None:
        """Return the texts to learn from in place of train's, without labels; None unless there is such a file.

        Args:
            labels: the labels, as `labelled` returns them, which a teacher's columns are for.
            setting: what names the columns of these texts.
        """
        if self.unlabelled_file is None:
            return None
        table = self._read("unlabelled")
        table.check_columns(self.text_columns, setting)
        return self._answered(table, labels)

    def _find_several(self, train: Table) -> list[str]:
        rows = label_lists(train, self.label_column, self.label_separator)
        return find_label_names(train, rows, self.label_column)

    def _answered(self, table: Table, labels: Sequence[str]) -> Split:
        """Return the texts of a table without labels, with a teacher's answers where there are columns of them."""
        split = Source({"": table}.__getitem__, self._columns, None).unlabelled("").split
        logits = self._logits(table, labels) if self.teacher_columns else None
        missing: Any = (0,) * len(labels) if self.multi_label else 0.0 if self.regression else 0
        return Split(split.text_a, split.text_b, [missing] * len(split), logits).unlabelled()

    def _logits(self, table: Table, labels: Sequence[str]) -> Logits:
        assert self.teacher_columns is not None
        return read_logits(table, self.teacher_columns, max(len(labels), 1), self.teacher_values, self.multi_label)

    def _reads_teacher(self, part: str, table: Table) -> bool:
        """Whether a teacher's columns are read of a part: of train, and where they are there, of dev."""
        if not self.teacher_columns:
            return False
        if part == "train":
            return self.unlabelled_file is None
        return all(column in table.columns for column in self.teacher_columns)

    def _with_labels(self, train: Table, labelled: bool) -> Table:
        """Return the rows of train that have a label, or those that have none."""
        rows = [row for row, has in enumerate(train.has_value(self.label_column)) if has == labelled]
        if not rows:
            raise KselectError(
                f"No row of {train.source} has a label in '{self.label_column}': give some, by which students are "
                "judged.",
                setting="label_column",
            )
        return train.take(rows)

    def unlabelled(self) -> Unlabelled:
        """Return the examples to predict: the test file or, without one, the data set's test split."""
        if self.test_file is None and self.dataset is not None:
            return Source(self._split_table, self._columns, None).unlabelled("test")
        return Source(self._read, self._columns, None).unlabelled("test")

    def stream_unlabelled(self) -> Iterator[Unlabelled]:
        """Yield the examples to predict, some at a time: those of `unlabelled`, or of standard input (`-`)."""
        columns = self._columns
        if self.test_file == "-":
            tables = stream_input(self.text_columns)
            first = next(tables)
            columns = replace(columns, texts=tuple(self.text_columns or first.columns))
            tables = chain([first], tables)
        elif self.test_file is None and self.dataset is not None:
            data = select_split(open_dataset(self._dataset, self.dataset_config), "test", self._dataset)
            tables = stream_dataset(f"{self.dataset} (test)", data)
        else:
            tables = stream_table(self._path("test"))
        return Source(self._read, columns, None).stream(map(self._with_texts, tables))

    @property
    def _columns(self) -> Columns:
        return Columns(tuple(self.text_columns), self.label_column, self.id_column)

    def _every_table(self) -> dict[str, Table]:
        tables = self._tables() if self.dataset is None else self._dataset_tables()
        for table in tables.values():
            self._with_texts(table).check_columns([self.label_column], "label_column")
        return tables

    def _with_texts(self, table: Table) -> Table:
        """Return a table, unless it lacks the columns of the texts or of the ids."""
        table.check_columns(self.text_columns, "text_columns")
        if self.id_column is not None and self.test_file != "-":  # lines have no ids
            table.check_columns([self.id_column], "id_column")
        return table

    def _tables(self) -> dict[str, Table]:
        return {part: self._read(part) for part in (("train", "dev") if self.dev_file else ("train",))}

    def _dataset_tables(self) -> dict[str, Table]:
        names = split_names(open_dataset(self._dataset, self.dataset_config))
        dev = next((split for split in DEV_SPLITS if split in names), None)
        parts = {"train": "train", **({"dev": dev} if dev else {})}
        return {part: self._split_table(split) for part, split in parts.items()}

    def _split_table(self, split: str) -> Table:
        data = select_split(open_dataset(self._dataset, self.dataset_config), split, self._dataset)
        return self._checked(dataset_table(f"{self.dataset} ({split})", data))

    @property
    def _dataset(self) -> str:
        return resolve_path(str(self.dataset), self.data_dir)

    def _path(self, part: str) -> Path:
        setting = f"{part}_file"
        path: str | None = getattr(self, setting)
        if path is None:
            raise KselectError(f"{setting} is missing: give the file with the {part} examples.", setting=setting)
        return find_file(path, self.data_dir)

    def _read(self, part: str) -> Table:
        table = read_table(self._path(part))
        return table if part == "unlabelled" else self._checked(table)

    def _checked(self, table: Table) -> Table:
        if self.id_column is not None:
            table.ids(self.id_column)
        return table
