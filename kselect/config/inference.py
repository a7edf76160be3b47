"""Saved models, their predictions, and the cache of teacher outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kselect.config.training import Precision
from kselect.config.validation import Config, require, setting


@dataclass(frozen=True)
class EvaluationConfig(Config):
    """Model: the model to evaluate, and how."""

    model: str
    """Folder or hub id of a classifier, student or teacher; or the folder of its run, or of a policy."""
    batch_size: int = 64
    """Examples per forward pass."""
    precision: Precision = "auto"
    """Precision of forward passes; auto is bf16 where the hardware supports it natively."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto is the CUDA device if there is one."""

    def validate(self) -> None:
        """Refuse no model, and no examples."""
        require(bool(self.model), "model is empty: give the folder of a classifier.", "model")
        self.require("batch_size", self.batch_size > 0, "give a positive number")


@dataclass(frozen=True)
class ReportConfig(Config):
    """Report: what is said of each class."""

    report: bool = False
    """Print precision, recall and F1 of each class, tag, entity type or relation, and the confusion matrix."""
    report_file: str | None = None
    """JSON file for all scores, with those of each class and the confusion matrix."""

    def validate(self) -> None:
        """Refuse no path."""
        require(self.report_file != "", "report_file is empty: give a file, or leave it out.", "report_file")


@dataclass(frozen=True)
class PredictionConfig(Config):
    """Predictions: where they are written."""

    output: str = "predictions"
    """File for the predictions if it ends in .tsv, .csv or .jsonl (of words: in anything), else a folder for them; -
    writes them to standard output."""
    probabilities: bool = False
    """Write the probability of each class, too; for texts in a table."""

    def validate(self) -> None:
        """Refuse no path."""
        require(bool(self.output), "output is empty: give a file or a folder.", "output")


@dataclass(frozen=True)
class CacheConfig(Config):
    """Cache: which entries, and what to do with them."""

    action: Literal["list", "verify", "clear"] = "list"
    """list the entries, verify that each file is what was written, or clear: delete them."""
    entry: str | None = None
    """The beginning of an entry's name; all entries by default."""
    cache_dir: str | None = setting(None, affects_result=False, may_differ_on_resume=True)
    """Folder of teacher outputs; by default the environment variable KSELECT_CACHE or, without it, kselect in the
    user's cache folder."""

    def validate(self) -> None:
        """Refuse an empty name."""
        require(
            self.entry != "",
            "entry is empty: give the beginning of an entry's name, or leave it out to mean all.",
            "entry",
        )
