"""What each kind of knowledge adds, from runs that differ in it alone (Wang et al. 2022, the preliminary study)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kselect.collection.ablations import EVERYTHING, QUARTERS
from kselect.collection.regret import scores_of
from kselect.collection.table import Run
from kselect.io import write_figure
from kselect.stats import Estimate, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Contribution:
    """What a kind of knowledge adds in a condition, in points, paired by seed; None where runs are missing.

    Attributes:
        alone: score of the kind alone, less that of everything.
        needed: score of everything, less that without the kind.
        by_quarter: score of everything, less that without the kind in each quarter of the run.
    """

    condition: str
    kind: str
    alone: Estimate | None
    needed: Estimate | None
    by_quarter: tuple[Estimate | None, ...]


def contributions(runs: Iterable[Run], split: str = "dev") -> list[Contribution]:
    """Return what each kind adds in each condition of a table; runs without a defined score count as missing."""
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for (condition, seed), by_selection in scores_of(runs, split).items():
        for selection, score in by_selection.items():
            scores.setdefault(condition, {}).setdefault(selection, {})[seed] = score
    found = []
    for condition, of in scores.items():
        everything = of.get(EVERYTHING, {})
        kinds = [name.removesuffix(" alone") for name in of if name.endswith(" alone")]

        def less(first: dict[int, float], second: dict[int, float]) -> Estimate | None:
            seeds = sorted(first.keys() & second.keys())
            return paired_difference([first[s] for s in seeds], [second[s] for s in seeds]) if seeds else None

        for kind in kinds:
            quarters = [of.get(f"without {kind} in quarter {quarter + 1}", {}) for quarter in range(QUARTERS)]
            found.append(
                Contribution(
                    condition,
                    kind,
                    less(of[f"{kind} alone"], everything),
                    less(everything, of.get(f"without {kind}", {})),
                    tuple(less(everything, each) for each in quarters),
                )
            )
    return found


def rows(found: Iterable[Contribution]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows for people: means over the seeds in points, with standard errors where there are any."""
    columns = [
        "condition",
        "kind",
        "alone",
        "needed",
        *(f"quarter {number + 1}" for number in range(QUARTERS)),
        "seeds",
    ]
    table = []
    for each in found:
        cells = (each.alone, each.needed, *each.by_quarter)
        seeds = max((cell.count for cell in cells if cell is not None), default=0)
        table.append([each.condition, each.kind, *map(_cell, cells), str(seeds)])
    return columns, table


def _cell(value: Estimate | None) -> str:
    if value is None:
        return ""
    return f"{value.mean:+.1f}" + (f" ± {value.se:.1f}" if value.count > 1 else "")


def heat_map(found: Sequence[Contribution]) -> Figure:
    """Return a heat map for each condition: kinds by quarters of the run, coloured by what is lost without them."""
    from matplotlib.figure import Figure  # without pyplot, which needs a display

    conditions = list(dict.fromkeys(each.condition for each in found))
    figure = Figure(figsize=(1.5 + 2.8 * len(conditions), 3.2), layout="constrained")
    values = [each.mean for one in found for each in one.by_quarter if each is not None]
    limit = max((abs(value) for value in values), default=1.0) or 1.0
    for axes, condition in zip(figure.subplots(1, len(conditions), squeeze=False)[0], conditions, strict=True):
        own = [each for each in found if each.condition == condition]
        cells = [[np.nan if value is None else value.mean for value in each.by_quarter] for each in own]
        image = axes.imshow(cells, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        axes.set_yticks(range(len(own)), [each.kind for each in own])
        axes.set_xticks(range(QUARTERS), [str(number + 1) for number in range(QUARTERS)])
        axes.set_title(condition)
        axes.set_xlabel("quarter of the run")
        for i, row in enumerate(cells):
            for j, value in enumerate(row):
                if not np.isnan(value):
                    axes.text(j, i, f"{value:+.1f}", ha="center", va="center", fontsize=8)
    figure.colorbar(image, ax=figure.axes, label="points lost without it")
    return figure


def save_heat_map(found: Sequence[Contribution], path: Path) -> None:
    """Draw `heat_map` to a file whose suffix names the format."""
    write_figure(path, heat_map(found))
