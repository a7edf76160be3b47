"""A plot of score against time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pareto(points: Mapping[str, tuple[float, float]], title: str, score: str) -> Figure:
    """Plot models by processor time in ms and score; a line joins those that no other one beats in both.

    Args:
        points: processor time and score of each model, by name.
        title: of the plot.
        score: what the score is.
    """
    from matplotlib.figure import Figure  # without pyplot, which needs a display

    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    best = undominated(points)
    axes.plot(*zip(*(points[name] for name in best), strict=True), color="0.7", zorder=1)
    for name, (processor_time, value) in points.items():
        axes.scatter(processor_time, value, zorder=2, label=name)
    axes.set(xscale="log", xlabel="processor time of a call, ms", ylabel=score, title=title)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=9)  # not at the points, of which several may be close together
    return figure


def undominated(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names of the points that no other is as fast as and better than, fastest first.

    >>> undominated({"a": (1.0, 0.8), "b": (2.0, 0.7), "c": (3.0, 0.9)})
    ['a', 'c']
    """
    best: list[str] = []
    for name, (_, score) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if not best or score > points[best[-1]][1]:
            best.append(name)
    return best
