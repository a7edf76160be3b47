"""GLUE's nine tasks: what they are made of, and how they lie on disk and on the hub.

GLUE: Wang et al., 2019, arXiv 1804.07461. Label names and their order are those of the hub's `nyu-mll/glue`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.errors import KselectError, did_you_mean
from kselect.tasks.paths import SAVED, first_line, load_saved
from kselect.tasks.readers import read_tsv
from kselect.tasks.table import Table
from kselect.tasks.text_files import Columns, Source

if TYPE_CHECKING:
    from datasets import DatasetDict


DEV_PARTS = ("dev", "dev_mismatched")
"""Names of the splits for reporting, in the order of a task's `parts`."""


@dataclass(frozen=True)
class GlueFormat:
    """A task of GLUE in each of its layouts."""

    folder: str
    """Of the TSV files."""
    labels: tuple[str, ...]
    """Label names in id order; none for a regression."""
    metrics: tuple[str, ...]
    tsv: Columns
    hub: Columns
    written: tuple[str, ...] = ()
    """What TSV files and submissions write for each label, where these are not the names."""
    header: tuple[str, ...] | None = None
    """The columns of TSV files that do not name them; test.tsv always does."""
    parts: dict[str, str] = field(default_factory=dict)
    """Where dev and test have several parts: what follows "dev" or "test" in the name of each, and the name of its
    submission."""

    @property
    def values(self) -> tuple[str, ...]:
        """What TSV files and submissions write for each label, in id order."""
        return self.written or self.labels

    @property
    def submissions(self) -> dict[str, str]:
        """Name of the submission's file, without its suffix, by part of test."""
        return {f"test{part}": name for part, name in self.parts.items()} or {"test": self.folder}

    @property
    def dev(self) -> dict[str, str]:
        """Part that each split for reporting is read from."""
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
HUB_SECONDS = 10.0
"""How long to wait for the hub's first answer."""


def glue_source(name: str, data_dir: str | Path | None) -> Source:
    """Find a task's data under `data_dir` or KSELECT_DATA, whichever layout it has; on the hub where neither is given.

    A folder may hold the task itself as `datasets` saved it, or the task's folder, or a folder `glue` with that in it.

    Raises:
        KselectError: the folder does not hold the task, or no folder is given and the hub cannot be reached.
    """
    format = GLUE_FORMATS[name]
    given = data_dir or os.environ.get("KSELECT_DATA")
    if not given:
        return _datasets_source(name, _from_hub(name), HUB_DATASET)
    root = Path(given).expanduser()
    folders = [parent / folder for parent in (root, root / "glue") for folder in (format.folder, name)]
    for folder in (root, *folders):
        if (folder / SAVED).is_file():
            return _datasets_source(name, load_saved(folder), str(folder))
    for folder in folders:
        if folder.is_dir():
            return _tsv_source(format, folder)
    raise KselectError(
        f"{root} has no folder {format.folder} or glue/{format.folder}: give --data_dir or set KSELECT_DATA "
        f"to a folder in GLUE's TSV layout ({_layout(format)}), or to one that datasets saved."
    )


def _layout(format: GlueFormat) -> str:
    return f"{format.folder}/train.tsv and {format.folder}/{next(iter(format.dev.values()))}.tsv"


def _tsv_source(format: GlueFormat, folder: Path) -> Source:
    def read(part: str) -> Table:
        path = folder / f"{part}.tsv"
        if part.startswith("test") and not path.exists():
            raise KselectError(
                f"{path} does not exist: put GLUE's test file there, or give texts of your own as --test_file."
            )
        return read_tsv(path, None if part.startswith("test") else format.header)

    return Source(read, format.tsv, {value: i for i, value in enumerate(format.values)} or None)


def _datasets_source(name: str, data: DatasetDict, origin: str) -> Source:
    format = GLUE_FORMATS[name]

    def read(part: str) -> Table:
        split = f"validation{part.removeprefix('dev')}" if part.startswith("dev") else part
        if split not in data:
            raise KselectError(
                f"{origin} has no split '{split}'{did_you_mean(split, data)} Splits found: {', '.join(data)}."
            )
        _check_order(data[split].features, format, f"{origin} ({split})")
        return Table(f"{origin} ({split})", data[split].to_dict())

    names = {label: i for i, label in enumerate(format.labels)}
    return Source(read, format.hub, {**names, **{str(i): i for i in names.values()}} or None)


def _check_order(features: Mapping[str, Any], format: GlueFormat, source: str) -> None:
    """Refuse data whose label ids mean something else than the task's."""
    names = getattr(features.get(format.hub.label), "names", None)
    if names is not None and tuple(names) != format.labels:
        raise KselectError(
            f"{source} orders its labels {', '.join(names)}, the task has {', '.join(format.labels) or 'a score'}: "
            "save the data in that order."
        )


def _from_hub(name: str) -> DatasetDict:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HTTPError

    try:
        # Loading a data set retries for half a minute where there is no network; asking for it first does not. In
        # offline mode there is nothing to ask, and what was downloaded once is read again.
        if not constants.HF_HUB_OFFLINE:
            HfApi().dataset_info(HUB_DATASET, timeout=HUB_SECONDS)
        return load_dataset(HUB_DATASET, name)
    except (OSError, ValueError, HTTPError, DatasetsError) as error:
        raise KselectError(
            f"No data folder for {name}, and the hub's {HUB_DATASET} cannot be had ({first_line(error)}): give "
            f"--data_dir or set KSELECT_DATA to a folder in GLUE's TSV layout ({_layout(GLUE_FORMATS[name])}) "
            "or one that datasets saved, or HF_HUB_OFFLINE=1 to read what was downloaded before."
        ) from error
