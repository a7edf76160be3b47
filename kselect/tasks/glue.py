"""GLUE's nine tasks: what they are made of, and how they lie on disk and on the hub.

GLUE: Wang et al., 2019, arXiv 1804.07461. Label names and their order are those of the hub's `nyu-mll/glue`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kselect.tasks.source import Columns

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
