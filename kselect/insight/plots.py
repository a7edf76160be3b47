"""A recording, drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.errors import UserError
from kselect.insight.rows import Rows

STRETCHES = 20  # of a run, by which curves over training steps are drawn
SHOWN = (0.01, 0.99)  # quantiles between which factors are drawn: a few may be larger by orders of magnitude


def check_matplotlib() -> None:
    """Refuse to draw where nothing draws.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401  # only whether it is there is asked
    except ImportError as error:
        raise UserError(
            "record_plots draws with matplotlib, which is not installed: pip install 'kselect[plots]', "
            "or leave record_plots out."
        ) from error


def draw(rows: Rows, path: str | Path) -> None:
    """Write one PNG: factors and their spread over the run, and how they go with the teacher's confidence.

    The lowest and highest hundredth of the factors are left out of sight.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    path, read = Path(path), rows.of_teacher
    low, high = np.quantile(rows.factor, SHOWN) if len(rows) else (0.0, 1.0)
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    histogram, over_steps, by_confidence = figure.subplots(1, 3)
    histogram.hist(rows.factor, bins=50, range=(low, high) if low < high else None)
    histogram.set(xlabel="gradient rescaling factor of the true class", ylabel="rows", title=f"{len(rows)} rows")
    centres, quartiles = _over_steps(rows)
    over_steps.fill_between(centres, quartiles[0], quartiles[2], alpha=0.3)
    over_steps.plot(centres, quartiles[1], marker=".")
    over_steps.set(xlabel="training step", ylabel="factor", title="median and quartiles over the run")
    if len(read):
        seen = (read.factor >= low) & (read.factor <= high)
        by_confidence.hexbin(read.teacher_confidence[seen], read.factor[seen], gridsize=40, bins="log", mincnt=1)
    by_confidence.set(
        xlabel="teacher's confidence in the true class", ylabel="factor", title="rows that read the teacher"
    )
    partial = path.with_name(f".{path.name}.partial")
    try:
        figure.savefig(partial, format="png", dpi=120)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"The plot {path} cannot be written: {error}.") from error


def _over_steps(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean step of each stretch of the run, `[n]`, and the quartiles of its factors, `[3, n]`."""
    spans = [steps for steps in np.array_split(np.unique(rows.step), STRETCHES) if len(steps)]
    stretches = [(rows.step >= steps[0]) & (rows.step <= steps[-1]) for steps in spans]
    centres = [steps.mean() for steps in spans]
    quartiles = [np.quantile(rows.factor[stretch], [0.25, 0.5, 0.75]) for stretch in stretches]
    return np.array(centres), np.array(quartiles).reshape(-1, 3).T
