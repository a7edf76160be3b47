"""GLUE's single-sentence and pair classification tasks, from a local folder in GLUE's TSV layout.

GLUE: Wang et al., 2019, arXiv 1804.07461. Label names and their order are those of the hub's `nyu-mll/glue`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kselect.errors import UserError
from kselect.tasks.split import Split
from kselect.tasks.tsv import read_tsv


@dataclass(frozen=True)
class GlueFormat:
    """How a GLUE task lies on disk and what its labels mean."""

    folder: str
    labels: tuple[str, ...]
    """Label names in id order."""
    values: tuple[str, ...]
    """What the files write for each label, in the same order."""
    label_column: str
    text_columns: tuple[str, ...]
    """One column, or two for a pair."""
    metrics: tuple[str, ...]
    header: tuple[str, ...] | None = None
    """The columns of files that do not name them."""


GLUE_FORMATS = {
    "mrpc": GlueFormat(
        folder="MRPC",
        labels=("not_equivalent", "equivalent"),
        values=("0", "1"),
        label_column="Quality",
        text_columns=("#1 String", "#2 String"),
        metrics=("accuracy", "f1"),
    ),
    "rte": GlueFormat(
        folder="RTE",
        labels=("entailment", "not_entailment"),
        values=("entailment", "not_entailment"),
        label_column="label",
        text_columns=("sentence1", "sentence2"),
        metrics=("accuracy",),
    ),
    "cola": GlueFormat(
        folder="CoLA",
        labels=("unacceptable", "acceptable"),
        values=("0", "1"),
        label_column="label",
        text_columns=("sentence",),
        metrics=("matthews",),
        header=("source", "label", "original_mark", "sentence"),
    ),
    "sst2": GlueFormat(
        folder="SST-2",
        labels=("negative", "positive"),
        values=("0", "1"),
        label_column="label",
        text_columns=("sentence",),
        metrics=("accuracy",),
    ),
}


def glue_folder(format: GlueFormat, data_dir: str | Path | None) -> Path:
    """Return the folder of a task's files under `data_dir` (or KSELECT_DATA), which may hold a folder `glue`.

    Raises `UserError` where no folder is given or none holds the task.
    """
    layout = f"{format.folder}/train.tsv and {format.folder}/dev.tsv"
    given = data_dir or os.environ.get("KSELECT_DATA")
    if not given:
        raise UserError(
            f"No data folder for {format.folder}: give --data_dir or set KSELECT_DATA to a folder "
            f"in GLUE's TSV layout ({layout})."
        )
    root = Path(given).expanduser()
    for folder in (root / format.folder, root / "glue" / format.folder):
        if folder.is_dir():
            return folder
    raise UserError(
        f"{root} has no folder {format.folder} or glue/{format.folder}: give --data_dir or set KSELECT_DATA "
        f"to a folder in GLUE's TSV layout ({layout})."
    )


def read_glue(format: GlueFormat, path: Path) -> Split:
    """Read one file of a task; raises `UserError` as `read_tsv` does, and for a label outside the set."""
    table = read_tsv(path, format.header)
    texts = [table.index(column) for column in format.text_columns]
    label = table.index(format.label_column)
    ids = {value: index for index, value in enumerate(format.values)}
    for row in table.rows:
        if row.fields[label] not in ids:
            raise UserError(
                f"{path}:{row.line} has the label '{row.fields[label]}', expected one of "
                f"{', '.join(format.values)}: mend or remove that row."
            )
    return Split(
        text_a=[row.fields[texts[0]] for row in table.rows],
        text_b=[row.fields[texts[1]] for row in table.rows] if len(texts) == 2 else None,
        labels=[ids[row.fields[label]] for row in table.rows],
    )
