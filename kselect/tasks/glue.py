"""GLUE's nine tasks: their labels and metrics, and their layouts on disk and on the hub.

GLUE: Wang et al., 2019, arXiv 1804.07461. Label names and their order are those of the hub's `nyu-mll/glue`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kselect.errors import KselectError, did_you_mean, first_line
from kselect.tasks.hub import SAVED, dataset_table, hub_errors, load_from_hub, load_saved
from kselect.tasks.readers import read_parquet, read_tsv
from kselect.tasks.source import Columns, Source
from kselect.tasks.table import Table, concatenate

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

DEV_PARTS = ("dev", "dev_mismatched")
"""Names of the splits for reporting, in the order of a task's `parts`."""


@dataclass(frozen=True)
class GlueFormat:
    """A task of GLUE in each of its layouts.

    Attributes:
        folder: folder of the TSV files.
        tsv: columns of the TSV files.
        hub: columns of the data set on the hub.
        written: what TSV files and submissions have for each label, where it is not the name.
        header: columns of TSV files that do not name them; test.tsv always does.
        parts: where dev and test have several parts, what follows "dev" or "test" in the name of each, and the name of
            its submission.
    """

    folder: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    tsv: Columns
    hub: Columns
    written: tuple[str, ...] = ()
    header: tuple[str, ...] | None = None
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def values(self) -> tuple[str, ...]:
        """What TSV files and submissions have for each label, in id order."""
        return self.written or self.labels

    @property
    def submissions(self) -> dict[str, str]:
        """Name of the submission's file, without its suffix, by part of test."""
        return {f"test{part}": name for part, name in self.parts.items()} or {"test": self.folder}

    @property
    def dev(self) -> dict[str, str]:
        """The part that each split for reporting is read from."""
        return dict(zip(DEV_PARTS, [f"dev{part}" for part in self.parts] or ["dev"], strict=False))


def _columns(*texts: str, label: str = "label", id: str = "index") -> Columns:
    return Columns(texts, label, id)


def _hub(*texts: str) -> Columns:
    return Columns(texts, "label", "idx")


_DIGITS = ("0", "1")

GLUE_FORMATS = {
    "cola": GlueFormat(
        folder="CoLA",
        labels=("unacceptable", "acceptable"),
        metrics=("matthews",),
        tsv=_columns("sentence"),
        hub=_hub("sentence"),
        written=_DIGITS,
        header=("source", "label", "original_mark", "sentence"),
    ),
    "sst2": GlueFormat(
        folder="SST-2",
        labels=("negative", "positive"),
        metrics=("accuracy",),
        tsv=_columns("sentence"),
        hub=_hub("sentence"),
        written=_DIGITS,
    ),
    "mrpc": GlueFormat(
        folder="MRPC",
        labels=("not_equivalent", "equivalent"),
        metrics=("accuracy", "f1"),
        tsv=_columns("#1 String", "#2 String", label="Quality"),
        hub=_hub("sentence1", "sentence2"),
        written=_DIGITS,
    ),
    "stsb": GlueFormat(
        folder="STS-B",
        labels=(),
        metrics=("pearson", "spearman"),
        tsv=_columns("sentence1", "sentence2", label="score"),
        hub=_hub("sentence1", "sentence2"),
    ),
    "qqp": GlueFormat(
        folder="QQP",
        labels=("not_duplicate", "duplicate"),
        metrics=("accuracy", "f1"),
        tsv=_columns("question1", "question2", label="is_duplicate", id="id"),
        hub=_hub("question1", "question2"),
        written=_DIGITS,
    ),
    "mnli": GlueFormat(
        folder="MNLI",
        labels=("entailment", "neutral", "contradiction"),
        metrics=("accuracy",),
        tsv=_columns("sentence1", "sentence2", label="gold_label"),
        hub=_hub("premise", "hypothesis"),
        parts={"_matched": "MNLI-m", "_mismatched": "MNLI-mm"},
    ),
    "qnli": GlueFormat(
        folder="QNLI",
        labels=("entailment", "not_entailment"),
        metrics=("accuracy",),
        tsv=_columns("question", "sentence"),
        hub=_hub("question", "sentence"),
    ),
    "rte": GlueFormat(
        folder="RTE",
        labels=("entailment", "not_entailment"),
        metrics=("accuracy",),
        tsv=_columns("sentence1", "sentence2"),
        hub=_hub("sentence1", "sentence2"),
    ),
    "wnli": GlueFormat(
        folder="WNLI",
        labels=("not_entailment", "entailment"),
        metrics=("accuracy",),
        tsv=_columns("sentence1", "sentence2"),
        hub=_hub("sentence1", "sentence2"),
        written=_DIGITS,
    ),
}

HUB_DATASET = "nyu-mll/glue"


def glue_source(name: str, data_dir: str | Path | None) -> Source:
    """Find a task's data in a folder, whichever layout it has, or on the hub where no folder is given.

    Args:
        name: of the task.
        data_dir: a folder that holds the task as `datasets` saved it, or the task's folder, or a folder "glue" with it;
            the task's folder has TSV files, Parquet files as on the hub, or a saved data set. By default the
            environment variable KSELECT_DATA.
    """
    format = GLUE_FORMATS[name]
    given = data_dir or os.environ.get("KSELECT_DATA")
    if not given:
        return _datasets_source(name, _load_from_hub(name), HUB_DATASET)
    root = Path(given).expanduser()
    folders = [parent / folder for parent in (root, root / "glue") for folder in (format.folder, name)]
    for folder in (root, *folders):
        if (folder / SAVED).is_file():
            return _datasets_source(name, load_saved(folder), str(folder))
    for folder in folders:
        if any(folder.glob("train-*.parquet")):
            return _parquet_source(name, folder)
        if folder.is_dir():
            return _tsv_source(format, folder)
    raise KselectError(
        f"{root} has no folder {format.folder} or glue/{format.folder}: give another data_dir, or set KSELECT_DATA, "
        f"to a folder in GLUE's TSV layout ({_layout(format)}), in the hub's ({name}/train-*.parquet), or saved by "
        "datasets.",
        setting="data_dir",
    )


def _layout(format: GlueFormat) -> str:
    return f"{format.folder}/train.tsv and {format.folder}/{next(iter(format.dev.values()))}.tsv"


def _tsv_source(format: GlueFormat, folder: Path) -> Source:
    def read(part: str) -> Table:
        path = folder / f"{part}.tsv"
        if part.startswith("test") and not path.exists():
            raise KselectError(
                f"{path} does not exist: put GLUE's test file there, or give custom texts as test_file.",
                setting="test_file",
            )
        return read_tsv(path, None if part.startswith("test") else format.header)

    return Source(read, format.tsv, {value: i for i, value in enumerate(format.values)} or None)


def _parquet_source(name: str, folder: Path) -> Source:
    """Read Parquet files as the hub has them, such as mrpc/train-00000-of-00001.parquet."""

    def read(part: str) -> Table:
        split = _hub_split(part)
        files = sorted(folder.glob(f"{split}-*.parquet"))
        if not files:
            raise KselectError(f"{folder} has no {split}-*.parquet: put GLUE's file there, or give another data_dir.")
        tables = [read_parquet(file) for file in files]
        return tables[0] if len(tables) == 1 else concatenate(f"{folder} ({split})", tables)

    return _hub_source(name, read)


def _datasets_source(name: str, data: DatasetDict | Dataset, origin: str) -> Source:
    def read(part: str) -> Table:
        split = _hub_split(part)
        if split not in data:
            raise KselectError(
                f"{origin} has no split '{split}'{did_you_mean(split, data)} Splits found: {', '.join(data)}."
            )
        return dataset_table(f"{origin} ({split})", data[split])

    return _hub_source(name, read)


def _hub_split(part: str) -> str:
    return f"validation{part.removeprefix('dev')}" if part.startswith("dev") else part


def _hub_source(name: str, read: Callable[[str], Table]) -> Source:
    """Return a source in the hub's columns, whose labels are names, or ids in the task's order."""
    format = GLUE_FORMATS[name]

    def checked(part: str) -> Table:
        table = read(part)
        names = table.class_names.get(format.hub.label)
        if names is not None and names != format.labels:
            raise KselectError(
                f"{table.source} orders its labels {', '.join(names)}, the task has "
                f"{', '.join(format.labels) or 'a score'}: save the data in that order."
            )
        return table

    ids = {label: i for i, label in enumerate(format.labels)}
    return Source(checked, format.hub, {**ids, **{str(i): i for i in ids.values()}} or None)


def _load_from_hub(name: str) -> DatasetDict:
    try:
        return load_from_hub(HUB_DATASET, name)
    except hub_errors() as error:
        raise KselectError(
            f"No data folder for {name}, and the hub's {HUB_DATASET} is not available ({first_line(error)}): give "
            f"data_dir or set KSELECT_DATA to a folder in GLUE's TSV layout ({_layout(GLUE_FORMATS[name])}) "
            "or one that datasets saved, or HF_HUB_OFFLINE=1 to read what was downloaded before.",
            setting="data_dir",
        ) from error
