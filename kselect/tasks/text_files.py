"""Data of one's own: files with named columns, and what the columns mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kselect.errors import KselectError
from kselect.tasks.paths import find
from kselect.tasks.readers import read_table
from kselect.tasks.splits import Split
from kselect.tasks.table import Table


@dataclass(frozen=True)
class Columns:
    """What a table's columns are called."""

    texts: tuple[str, ...]
    """One column, or two for a pair."""
    label: str
    id: str | None = None


@dataclass(frozen=True)
class Unlabelled:
    """Examples to predict."""

    ids: list[str]
    """What each example is called: its id or, where there are none, its row, from 0."""
    split: Split
    """The texts; the labels are stand-ins."""


@dataclass(frozen=True)
class Source:
    """The parts of a data set ("train", "dev", "test", ...) and how to read them."""

    read: Callable[[str], Table]
    columns: Columns
    label_ids: dict[str, int] | None
    """Label id of everything the files write for a label; None where they hold scores."""
    remedy: str = "mend or remove that row"
    """What is to be done about a label that is not known."""

    def split(self, part: str) -> Split:
        """Return labelled examples; raises `KselectError` for a fault in the data, with its place."""
        table = self.read(part)
        text_a, text_b = self._texts(table)
        return Split(text_a, text_b, self._labels(table))

    def unlabelled(self, part: str) -> Unlabelled:
        """Return examples without their labels; raises `KselectError` for a fault in the data, with its place."""
        table = self.read(part)
        text_a, text_b = self._texts(table)
        has_ids = self.columns.id is not None and self.columns.id in table.columns
        ids = table.ids(str(self.columns.id)) if has_ids else [str(row) for row in range(len(table))]
        return Unlabelled(ids, Split(text_a, text_b, [0] * len(table)))

    def _texts(self, table: Table) -> tuple[list[str], list[str] | None]:
        first, *second = (table.texts(column) for column in self.columns.texts)
        return first, second[0] if second else None

    def _labels(self, table: Table) -> list[int] | list[float]:
        if self.label_ids is None:
            return table.scores(self.columns.label)
        names = table.names(self.columns.label)
        for row, name in enumerate(names):
            if name not in self.label_ids:
                raise KselectError(
                    f"{table.place(row)} has the label '{name}', expected one of {', '.join(self.label_ids)}: "
                    f"{self.remedy}."
                )
        return [self.label_ids[name] for name in names]


FEW_LABELS = 20
"""So many labels are believed in however few the rows."""


@dataclass(frozen=True)
class OwnFiles:
    """TSV, CSV, JSONL or Parquet files of labelled texts, or pairs of them."""

    text_columns: Sequence[str]
    """One column, or two for a pair."""
    train_file: str | None = None
    dev_file: str | None = None
    """Without it, dev is held out of train."""
    test_file: str | None = None
    label_column: str = "label"
    labels: Sequence[str] | None = None
    """What the files write for each label, in id order; by default what train has, sorted."""
    regression: bool = False
    """Whether labels are scores."""
    metrics: Sequence[str] | None = None
    """By default accuracy, with F1 where there are two classes; Pearson and Spearman in a regression."""
    id_column: str | None = None
    """A column of names, each given once, that predictions are written with."""
    data_dir: str | Path | None = field(default=None, kw_only=True)
    """Where files are that are not in the present folder; by default the environment variable KSELECT_DATA."""

    def __post_init__(self) -> None:
        """Refuse what no data could fit."""
        if len(self.text_columns) not in (1, 2):
            raise KselectError(f"text_columns names {len(self.text_columns)} columns: give one, or two for pairs.")
        if self.regression and self.labels is not None:
            raise KselectError("labels and regression exclude each other: scores have no label names.")
        if self.labels is not None and len(self.labels) < 2:
            raise KselectError(f"labels names {len(self.labels)}: give two or more, or regression for scores.")
        if self.labels and len(set(self.labels)) != len(self.labels):
            raise KselectError(f"labels names one twice: {', '.join(self.labels)}.")

    def labelled(self) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Split]]:
        """Return the labels, the metrics, and the splits "train" and, where it has a file, "dev".

        Raises `KselectError` for faults in the files, and for train without two labels.
        """
        tables = {part: self._read(part) for part in (("train", "dev") if self.dev_file else ("train",))}
        labels: tuple[str, ...] = ()
        usual: tuple[str, ...] = ("pearson", "spearman")
        if not self.regression:
            labels = tuple(self.labels or self._found(tables["train"]))
            usual = ("accuracy", "f1") if len(labels) == 2 else ("accuracy",)
        label_ids = {label: i for i, label in enumerate(labels)} or None
        remedy = "mend or remove that row, or give --labels with every label"
        source = Source(tables.__getitem__, self._columns, label_ids, remedy)
        return labels, tuple(self.metrics or usual), {part: source.split(part) for part in tables}

    def unlabelled(self) -> Unlabelled:
        """Return the examples to predict; raises `KselectError` for faults in their file, or without one."""
        return Source(self._read, self._columns, None).unlabelled("test")

    def _found(self, train: Table) -> list[str]:
        """Return the labels that train has, sorted; refuse what can be no column of labels."""
        names = train.names(self.label_column)
        _check_alike(train, names)
        labels = _sorted(names)
        if len(labels) < 2:
            raise KselectError(
                f"{self.train_file} has one label only, {labels[0]}: give labels, or regression for scores."
            )
        if len(labels) > max(FEW_LABELS, len(train) / 2):
            raise KselectError(
                f"'{self.label_column}' of {self.train_file} has {len(labels)} different labels in {len(train)} rows: "
                "give regression if they are scores, or another label_column."
            )
        if _are_decimals(labels):
            raise KselectError(
                f"'{self.label_column}' of {self.train_file} holds decimals ({', '.join(labels[:3])}, ...): "
                "give regression if they are scores, or labels if they are names."
            )
        return labels

    @property
    def _columns(self) -> Columns:
        return Columns(tuple(self.text_columns), self.label_column, self.id_column)

    def _read(self, part: str) -> Table:
        path = {"train": self.train_file, "dev": self.dev_file, "test": self.test_file}[part]
        if path is None:
            raise KselectError(f"--{part}_file is missing: give the file with the {part} examples.")
        table = read_table(find(path, self.data_dir))
        if self.id_column is not None:
            table.ids(self.id_column)
        return table


def _check_alike(train: Table, names: list[str]) -> None:
    """Refuse labels that differ by nothing but the space around them."""
    spelt: dict[str, str] = {}
    for row, name in enumerate(names):
        other = spelt.setdefault(name.strip(), name)
        if other != name:
            raise KselectError(f"{train.place(row)} has the label '{name}', a row above '{other}': write them alike.")


def _are_decimals(labels: list[str]) -> bool:
    """Whether all labels are numbers, and not all of them whole."""
    try:
        return not all(float(label).is_integer() for label in labels)
    except ValueError:
        return False


def _sorted(names: list[str]) -> list[str]:
    """Sort labels as numbers where all of them are, as texts otherwise."""
    distinct = sorted(set(names))
    try:
        return sorted(distinct, key=int)
    except ValueError:
        return distinct
