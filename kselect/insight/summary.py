"""What a recording says, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.insight.rescaling import correlations, spread
from kselect.insight.rows import Rows


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
