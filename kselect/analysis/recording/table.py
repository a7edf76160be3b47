"""The table of a recording: one row for each position of an example at each training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.recording.gradient_rescaling import correlations, spread
from kselect.errors import KselectError, first_line
from kselect.io import replacing

DTYPES: dict[str, Any] = dict.fromkeys(("step", "example", "word", "label"), np.int32)
DTYPES |= dict.fromkeys(("teacher_confidence", "student_confidence", "factor"), np.float32)


@dataclass(frozen=True)
class ExampleTable:
    """Columns of N rows, int32 and, the last three, float32.

    Attributes:
        step: Training step, counted from 1.
        example: Index in the task's train split.
        word: Index of the word, counted from 0; 0 where whole texts are classified.
        label: Id of the gold class (for `tree-tagger`, of the arc tag).
        teacher_confidence: The teacher's probability of it at temperature 1; NaN where no selected knowledge read the
            teacher, or where it chooses among other things than the student.
        student_confidence: The student's probability of it, with dropout.
        factor: See `kselect.analysis.recording.gradient_rescaling.rescaling_factor`.
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
        """Return the number of rows."""
        return len(self.step)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def where(self, mask: NDArray[np.bool_]) -> ExampleTable:
        """Return the rows that `mask [N]` selects."""
        return ExampleTable(**{name: column[mask] for name, column in self.columns().items()})

    @property
    def with_teacher(self) -> ExampleTable:
        """Rows of steps that read the teacher."""
        return self.where(~np.isnan(self.teacher_confidence))

    @staticmethod
    def concatenate(tables: Sequence[ExampleTable]) -> ExampleTable:
        """Return the rows of all tables, in order."""
        columns: dict[str, Any] = {
            name: np.concatenate([np.empty(0, dtype), *(getattr(table, name) for table in tables)])
            for name, dtype in DTYPES.items()
        }
        return ExampleTable(**columns)

    def save(self, path: str | Path) -> None:
        """Write one Parquet file atomically."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with replacing(Path(path)) as (partial,):
            pq.write_table(pa.table(self.columns()), partial, compression="zstd", write_page_checksum=True)

    @staticmethod
    def load(path: str | Path) -> ExampleTable:
        """Read a file that `save` wrote."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path, columns=list(DTYPES), page_checksum_verification=True)
            return ExampleTable(**{name: table[name].to_numpy() for name in DTYPES})
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise KselectError(
                f"The recording {path} cannot be read ({first_line(error)}): record the run again."
            ) from error


def summarise(rows: ExampleTable) -> dict[str, Any]:
    """Return the spread of factors and confidences, and the correlation of factors with the teacher's confidence.

    Of the result, `teacher_rows`, `teacher_confidence`, `pearson` and `spearman` concern the rows of steps that read
    the teacher, and the others all rows.
    """
    read = rows.with_teacher
    return {
        "rows": len(rows),
        "teacher_rows": len(read),
        "factor": spread(rows.factor),
        "student_confidence": spread(rows.student_confidence),
        "teacher_confidence": spread(read.teacher_confidence),
        **correlations(read.factor, read.teacher_confidence),
    }


def scalars(rows: ExampleTable) -> dict[str, float]:
    """Return the scalars of a phase for TensorBoard, by name."""
    summary = summarise(rows)
    means = {name: summary[name]["mean"] for name in ("factor", "student_confidence", "teacher_confidence")}
    factor_std = summary["factor"]["std"]
    return {**means, "factor_std": factor_std, "pearson": summary["pearson"], "spearman": summary["spearman"]}


def histograms(rows: ExampleTable) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a phase for TensorBoard's histograms, by name, without empty ones."""
    columns = {name: getattr(rows, name) for name in ("factor", "student_confidence")}
    columns["teacher_confidence"] = rows.with_teacher.teacher_confidence
    # In float64, since a sum of squares may exceed float32.
    return {name: column.astype(np.float64) for name, column in columns.items() if len(column)}
