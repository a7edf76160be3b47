"""A figure of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.recording.table import ExampleTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 20  # of training steps, for curves over the run
SHOWN = (0.01, 0.99)  # quantiles of the factors that are drawn: a few may be larger by orders of magnitude


def recording_figure(rows: ExampleTable) -> Figure:
    """Draw the factors, their spread over the run, and their relation to the teacher's confidence.

    The lowest and highest hundredth of the factors are not shown.
    """
    from matplotlib.figure import Figure  # without pyplot, which needs a display and keeps figures

    read = rows.with_teacher
    low, high = np.quantile(rows.factor, SHOWN) if len(rows) else (0.0, 1.0)
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    distribution, over_steps, by_confidence = figure.subplots(1, 3)
    distribution.hist(rows.factor, bins=50, range=(low, high) if low < high else None)
    distribution.set(xlabel="gradient rescaling factor of the true class", ylabel="rows", title=f"{len(rows)} rows")
    centres, quartiles = _over_steps(rows)
    over_steps.fill_between(centres, quartiles[0], quartiles[2], alpha=0.3)
    over_steps.plot(centres, quartiles[1], marker=".")
    over_steps.set(xlabel="training step", ylabel="factor", title="median and quartiles over the run")
    if len(read):
        shown = (read.factor >= low) & (read.factor <= high)
        by_confidence.hexbin(read.teacher_confidence[shown], read.factor[shown], gridsize=40, bins="log", mincnt=1)
    by_confidence.set(
        xlabel="teacher's confidence in the true class", ylabel="factor", title="rows that read the teacher"
    )
    return figure


def _over_steps(rows: ExampleTable) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean step of each bin of the run, `[n]`, and the quartiles of its factors, `[3, n]`."""
    bins = [steps for steps in np.array_split(np.unique(rows.step), BINS) if len(steps)]
    members = [(rows.step >= steps[0]) & (rows.step <= steps[-1]) for steps in bins]
    centres = [steps.mean() for steps in bins]
    quartiles = [np.quantile(rows.factor[mask], [0.25, 0.5, 0.75]) for mask in members]
    return np.array(centres), np.array(quartiles).reshape(-1, 3).T
