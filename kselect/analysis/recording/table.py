"""A recording: what was seen of every example, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.recording.gradient_rescaling import correlations, spread
from kselect.errors import KselectError
from kselect.io import replacing

DTYPES: dict[str, Any] = dict.fromkeys(("step", "example", "word", "label"), np.int32)
DTYPES |= dict.fromkeys(("teacher_confidence", "student_confidence", "factor"), np.float32)


@dataclass(frozen=True)
class Rows:
    """N places of examples, each as a training step met it; columns `[N]`, int32 and, the last three, float32.

    step: the training step, counted from 1. example: its index in the task's train split. word: which word of it,
    counted from 0; 0 where texts are classified as a whole. label: id of the true class (of `tree-tagger`, of the arc
    tag). teacher_confidence: the teacher's probability of it, at temperature 1; NaN where no selected knowledge read
    the teacher, or where it chooses among unlike things. student_confidence: the student's, dropout included. factor:
    see `kselect.analysis.recording.gradient_rescaling.rescaling_factor`.
    """

    step: NDArray[np.int32]
    example: NDArray[np.int32]
    word: NDArray[np.int32]
    label: NDArray[np.int32]
    teacher_confidence: NDArray[np.float32]
    student_confidence: NDArray[np.float32]
    factor: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name, dtype in DTYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.step)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def where(self, kept: NDArray[np.bool_]) -> Rows:
        """Return the rows that `kept [N]` marks."""
        return Rows(**{name: column[kept] for name, column in self.columns().items()})

    @property
    def of_teacher(self) -> Rows:
        """The rows of steps that read the teacher."""
        return self.where(~np.isnan(self.teacher_confidence))

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """Return the rows of all parts, one after the other."""
        columns: dict[str, Any] = {
            name: np.concatenate([np.empty(0, dtype), *(getattr(part, name) for part in parts)])
            for name, dtype in DTYPES.items()
        }
        return Rows(**columns)

    def save(self, path: str | Path) -> None:
        """Write one Parquet file; a kill at any moment leaves none, the old one or the new one.

        Raises:
            KselectError: it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        with replacing(Path(path)) as (partial,):
            pq.write_table(pa.table(self.columns()), partial, compression="zstd")

    @staticmethod
    def load(path: str | Path) -> Rows:
        """Read what `save` wrote.

        Raises:
            KselectError: nothing there, or not a recording.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path, columns=list(DTYPES))
            return Rows(**{name: table[name].to_numpy() for name in DTYPES})
        except (OSError, pa.ArrowException, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise KselectError(f"The recording {path} cannot be read ({reason}): record the run again.") from error


def summarise(rows: Rows) -> dict[str, Any]:
    """Return the spread of factors and confidences, and how factors go with the teacher's confidence.

    `rows` and `teacher_rows` count all rows, and those of steps that read the teacher; `teacher_confidence`, `pearson`
    and `spearman` are of the latter.
    """
    read = rows.of_teacher
    return {
        "rows": len(rows),
        "teacher_rows": len(read),
        "factor": spread(rows.factor),
        "student_confidence": spread(rows.student_confidence),
        "teacher_confidence": spread(read.teacher_confidence),
        **correlations(read.factor, read.teacher_confidence),
    }


def scalars(rows: Rows) -> dict[str, float]:
    """Return the figures of a phase that are drawn as curves, by name."""
    told = summarise(rows)
    means = {name: told[name]["mean"] for name in ("factor", "student_confidence", "teacher_confidence")}
    return {**means, "factor_std": told["factor"]["std"], "pearson": told["pearson"], "spearman": told["spearman"]}


def histograms(rows: Rows) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a phase that are drawn as histograms, `[n]` each, by name; empty ones are left out."""
    columns = {name: getattr(rows, name) for name in ("factor", "student_confidence")}
    columns["teacher_confidence"] = rows.of_teacher.teacher_confidence
    # In float64, since a sum of squares may be beyond float32.
    return {name: column.astype(np.float64) for name, column in columns.items() if len(column)}
