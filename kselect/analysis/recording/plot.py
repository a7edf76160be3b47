"""A recording, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.recording.table import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRETCHES = 20  # of a run, by which curves over training steps are drawn
SHOWN = (0.01, 0.99)  # quantiles between which factors are drawn: a few may be larger by orders of magnitude


def recording_figure(rows: Rows) -> Figure:
    """Return a figure of the factors and their spread over the run, and how they go with the teacher's confidence.

    The lowest and highest hundredth of the factors are left out of sight.
    """
    from matplotlib.figure import Figure  # without pyplot, which wants a display and keeps figures

    read = rows.of_teacher
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
    return figure


def _over_steps(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean step of each stretch of the run, `[n]`, and the quartiles of its factors, `[3, n]`."""
    spans = [steps for steps in np.array_split(np.unique(rows.step), STRETCHES) if len(steps)]
    stretches = [(rows.step >= steps[0]) & (rows.step <= steps[-1]) for steps in spans]
    centres = [steps.mean() for steps in spans]
    quartiles = [np.quantile(rows.factor[stretch], [0.25, 0.5, 0.75]) for stretch in stretches]
    return np.array(centres), np.array(quartiles).reshape(-1, 3).T
