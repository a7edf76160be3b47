"""A ladder as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kselect.insight.explanation import Explanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ladder_figure(explanation: Explanation, title: str) -> Figure:
    """Return a figure of what each rung gains over fine-tuning, with its standard error over seeds where it has one."""
    from matplotlib.figure import Figure  # without pyplot, which wants a display and keeps figures

    gains = explanation.decomposition.gains
    levels = {rung.name: rung.level for rung in explanation.rungs}
    names = list(reversed(gains))
    errors = [0.0 if math.isnan(gains[name].error) else gains[name].error for name in names]
    figure = Figure(figsize=(6.4, 0.8 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    means = [gains[name].mean for name in names]
    axes.barh([f"{name}\n{levels[name]}" for name in names], means, xerr=errors, capsize=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(f"gain over fine-tuning on dev, {explanation.unit}")
    axes.set_title(title)
    axes.tick_params(axis="y", labelsize=8)
    return figure
