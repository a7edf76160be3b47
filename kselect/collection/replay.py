"""Replaying: what a race or a switch would have scored, read from runs that were collected.

The answers are exact. A student that is chosen at a mark goes on as the run that it belongs to, whose score at the end
is in the table; nothing is interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kselect.agents.stages import selected_during
from kselect.collection.table import Run, runs_by_group
from kselect.errors import KselectError

END = 1.0  # the last mark


@dataclass(frozen=True)
class Outcome:
    """What a way of selecting achieves in a condition under a seed.

    Attributes:
        condition: name of the condition.
        seed: the seed.
        selection: the selection whose student is kept.
        score: its score at the end.
        cost: training in all, as a multiple of one run.
    """

    condition: str
    seed: int
    selection: str
    score: float
    cost: float


def race(
    runs: Sequence[Run], branches: Sequence[str], mark: float, split: str = "dev", margin: float = 0.0
) -> list[Outcome]:
    """Train several students until a mark, and go on with the best one.

    The best is that with the highest score on the reward split. The first branch is the default: another must be ahead
    of it by more than `margin`. Branches that are equal until the mark are trained once until there.

    Args:
        runs: the table.
        branches: names of selections, the default first.
        mark: share of the run at which one is chosen; at 1, all are finished, as in a grid search.
        split: reward or dev, of the score that is returned.
        margin: in units of the score, where 1 is 100 points.

    Returns:
        An outcome for each condition and seed with a run of every branch; others are left out.

    Raises:
        KselectError: no condition has a run of every branch; an unknown mark or split.
    """
    if not branches:
        raise KselectError("A race has no branches: give at least one selection.")
    outcomes = []
    for (condition, seed), found in runs_by_group(runs).items():
        if not set(branches) <= found.keys():
            continue
        entered = [found[name] for name in branches]
        scores = [_or_lowest(run.score(mark, "reward")) for run in entered]
        best = max(range(len(entered)), key=scores.__getitem__)  # the first of equal ones
        chosen = entered[best if scores[best] > scores[0] + margin else 0]
        cost = mark * len({_until(run, mark) for run in entered}) + (END - mark)
        outcomes.append(Outcome(condition, seed, chosen.selection, chosen.score(END, split), cost))
    if not outcomes:
        raise KselectError(f"No condition has a run of each of {', '.join(branches)}: leave one out, or collect it.")
    return outcomes


def switch(runs: Sequence[Run], first: str, second: str, mark: float, split: str = "dev") -> list[Outcome]:
    """Train one student under a selection until a mark, and under another one from there.

    Args:
        runs: the table.
        first: name of a selection of one stage.
        second: another one.
        mark: share of the run at which the selection changes.
        split: reward or dev, of the score that is returned.

    Returns:
        An outcome for each condition and seed in which a selection of these two stages was run.

    Raises:
        KselectError: no run of `first` or `second`, one with several stages, or no run of both in two stages.
    """
    outcomes = []
    for name in (first, second):
        stages = [run.stages for run in runs if run.selection == name]
        if not stages or any(len(each) > 1 for each in stages):
            raise KselectError(f"{name} is no selection of one stage that was run: give another.")
    for (condition, seed), found in runs_by_group(runs).items():
        if first not in found or second not in found:
            continue
        (before,), (after,) = found[first].stages, found[second].stages
        wanted = selected_during([{**before, "until": mark}, {**after, "until": END}])
        for run in found.values():
            if selected_during(run.stages) == wanted:
                outcomes.append(Outcome(condition, seed, run.selection, run.score(END, split), END))
                break
    if not outcomes:
        raise KselectError(f"No selection was run that changes from {first} to {second} at {mark:g}: collect one.")
    return outcomes


def _until(run: Run, mark: float) -> object:
    """Return what is selected until a mark, equal for equal students; of an agent that selected, its name."""
    return selected_during(run.stages, end=mark) or run.selection


def _or_lowest(score: float) -> float:
    return -math.inf if math.isnan(score) else score
