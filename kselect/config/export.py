"""Exported models, and how fast a model is in each form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kselect.config.validation import Config, require

ExportFormat = Literal["onnx", "openvino"]


@dataclass(frozen=True)
class ExportConfig(Config):
    """Export: which model, and in which form."""

    model: str
    """Folder or hub id of a classifier, student or teacher; or the folder of its run."""
    format: ExportFormat = "onnx"
    """Format of the graph, and the extra that its packages come with."""
    int8: bool = False
    """Also write the graph with weights in int8, and let predict.py use it."""
    prune_vocabulary: bool = False
    """Leave out the tokens that no text of train, and no further text, has, but for special ones and single characters;
    for WordPiece tokenizers, such as BERT's."""
    output: str | None = None
    """Folder for the export; by default one named after the format in the run's folder, or next to the model."""
    batch_size: int = 32
    """Examples per forward pass, where the export is compared with the model."""

    def validate(self) -> None:
        """Refuse no model, no folder and no examples."""
        require(bool(self.model), "model is empty: give the folder of a classifier.", "model")
        require(self.output != "", "output is empty: give a folder, or leave it out.", "output")
        self.require("batch_size", self.batch_size > 0, "give a positive number")


@dataclass(frozen=True)
class BenchmarkConfig(Config):
    """Benchmark: which models, how they are timed, and the report."""

    model: str
    """Folder of a student's or teacher's run whose model has been exported."""
    export: str | None = None
    """Folder of an export; by default all in the run's folder, each named after its format."""
    teacher: str | None = None
    """Folder or hub id of the teacher, for a row of its own; by default that of the run."""
    static: bool = False
    """Also measure a static student, a table of token vectors that model2vec distils from the teacher or, without one,
    the model; for tasks of texts."""
    batch_sizes: list[int] = field(default_factory=lambda: [1, 8])
    """Examples per call."""
    lengths: list[int] = field(default_factory=lambda: [16, 64])
    """Tokens per example; those that a model does not take are left out."""
    rounds: int = 30
    """Calls of each model for each batch and length; the models take turns."""
    threads: int = 1
    """Threads of the processor that a call uses."""
    output: str | None = None
    """File for the results as JSON; by default bench-model.json in the run's folder."""
    plot: str | None = None
    """Plot score against processor time to this file; needs matplotlib."""

    def validate(self) -> None:
        """Refuse no model, and numbers that are not positive."""
        require(bool(self.model), "model is empty: give the folder of a run.", "model")
        for name in ("batch_sizes", "lengths"):
            sizes = getattr(self, name)
            self.require(name, len(sizes) > 0 and all(size > 0 for size in sizes), "give positive numbers")
        self.require("lengths", all(length >= 4 for length in self.lengths), "give at least 4 tokens")
        self.require("rounds", self.rounds >= 2, "give 2 or more")
        self.require("threads", self.threads > 0, "give a positive number")
