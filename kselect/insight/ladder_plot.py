"""A ladder as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kselect.insight.explanation import Explanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ladder_figure(explanation: Explanation, title: str) -> Figure:
    """Return a figure of what each rung of its own gains over fine-tuning, with its 95 % interval where it has one."""
    from matplotlib.figure import Figure  # without pyplot, which wants a display and keeps figures

    gains = explanation.decomposition.gains
    levels = {rung.name: rung.level for rung in explanation.rungs}
    names = [rung.name for rung in reversed(explanation.rungs) if rung.name in gains and rung.same_as is None]
    margins = [gains[name].margin() for name in names]
    errors = [math.nan if math.isinf(margin) else margin for margin in margins]  # nothing is drawn
    figure = Figure(figsize=(6.4, 0.8 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    means = [gains[name].mean for name in names]
    axes.barh([f"{name}\n{levels[name]}" for name in names], means, xerr=errors, capsize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(f"gain over fine-tuning on dev, {explanation.unit}: {_seeds(explanation)}")
    axes.set_title(title)
    axes.tick_params(axis="y", labelsize=8)
    return figure


def _seeds(explanation: Explanation) -> str:
    count = len(explanation.seeds)
    return "one seed" if count == 1 else f"mean and 95 % interval of {count} seeds"
