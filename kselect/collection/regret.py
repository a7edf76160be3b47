"""What a way of selecting loses against the best selection, in the conditions of a pool."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kselect.collection.table import Run
from kselect.stats import Estimate, estimate

Group = tuple[str, int]
"""A condition and a seed."""
Scores = Mapping[Group, Mapping[str, float]]
"""Scores in points by group, and in each by what selected."""


def scores_of(runs: Iterable[Run], split: str = "dev", mark: float = 1.0) -> dict[Group, dict[str, float]]:
    """Return the scores of a table that are defined."""
    found: dict[Group, dict[str, float]] = defaultdict(dict)
    for run in runs:
        score = 100 * run.score(mark, split)
        if not math.isnan(score):
            found[run.condition, run.seed][run.selection] = score
    return dict(found)


def optimum(scores: Scores, candidates: Sequence[str]) -> dict[Group, float]:
    """Return the score of each condition's best selection, chosen under its other seeds.

    Chosen under the same seed, the best would be better than it is by the luck of its run.

    Args:
        scores: by group.
        candidates: the selections to choose from; those that a group lacks are left out there.

    Returns:
        By group; groups whose condition has no other seed are left out.
    """
    found = {}
    for (condition, seed), own in scores.items():
        others = [row for (name, number), row in scores.items() if name == condition and number != seed]
        means = {
            name: float(np.mean([row[name] for row in others]))
            for name in candidates
            if name in own and others and all(name in row for row in others)
        }
        if means:
            found[condition, seed] = own[max(means, key=lambda name: means[name])]
    return found


@dataclass(frozen=True)
class Standing:
    """How one way of selecting stands over the conditions of a pool.

    Attributes:
        name: of what selected.
        score: mean over conditions, in points.
        regret: mean of the optimum less its score over conditions, in points; NaN without an optimum.
        worst: the largest mean regret in one condition, and that condition.
        gap: share of the gap from fine-tuning to the teacher that it closes, in the mean of the conditions where the
            gap is positive by two standard errors; NaN where there is none.
        cost: training, as a multiple of one run.
        groups: number of conditions and seeds.
    """

    name: str
    score: float
    regret: float
    worst: tuple[float, str]
    gap: float
    cost: float
    groups: int


def standing(
    name: str,
    scores: Mapping[Group, float],
    best: Mapping[Group, float],
    baseline: Mapping[Group, float],
    teacher: Mapping[Group, float],
    cost: float = 1.0,
) -> Standing:
    """Compare the scores of one way of selecting with the optimum, the teacher and fine-tuning.

    Args:
        name: of the way of selecting.
        scores: its score by group.
        best: see `optimum`.
        baseline: the scores of fine-tuning.
        teacher: the scores of the teachers.
        cost: see `Standing`.
    """
    regrets = by_condition({group: best[group] - score for group, score in scores.items() if group in best})
    means = {condition: float(np.mean(values)) for condition, values in regrets.items()}
    worst = max(means, key=lambda condition: means[condition]) if means else ""
    return Standing(
        name=name,
        score=_mean(by_condition(scores)),
        regret=_mean(regrets),
        worst=(means[worst] if means else math.nan, worst),
        gap=_gap_closed(scores, baseline, teacher),
        cost=cost,
        groups=len(scores),
    )


def _gap_closed(
    scores: Mapping[Group, float], baseline: Mapping[Group, float], teacher: Mapping[Group, float]
) -> float:
    """Return the mean over conditions of the mean gain over the mean gap."""
    gaps = by_condition({group: teacher[group] - baseline[group] for group in scores if group in baseline})
    gains = by_condition({group: scores[group] - baseline[group] for group in scores if group in baseline})
    shares = []
    for condition, values in gaps.items():
        gap = estimate(values)
        if gap.count > 1 and gap.mean > 2 * gap.se:
            shares.append(float(np.mean(gains[condition])) / gap.mean)
    return float(np.mean(shares)) if shares else math.nan


def by_condition(values: Mapping[Group, float]) -> dict[str, list[float]]:
    """Return the values of each condition, over its seeds."""
    found: dict[str, list[float]] = defaultdict(list)
    for (condition, _), value in values.items():
        found[condition].append(value)
    return dict(found)


def _mean(values: Mapping[str, Sequence[float]]) -> float:
    return float(np.mean([np.mean(each) for each in values.values()])) if values else math.nan


def difference_over_tasks(
    first: Mapping[Group, float], second: Mapping[Group, float], task_of: Mapping[str, str]
) -> Estimate | None:
    """Return the mean difference of scores, tested over tasks: conditions and seeds of one task are not independent.

    A task's difference is the mean over its conditions of the mean over their seeds.

    Returns:
        The estimate in points over tasks, by Student's t; None without a group in common.
    """
    shared = by_condition({group: first[group] - second[group] for group in first.keys() & second.keys()})
    tasks: dict[str, list[float]] = defaultdict(list)
    for condition, values in shared.items():
        tasks[task_of[condition]].append(float(np.mean(values)))
    return estimate([float(np.mean(each)) for each in tasks.values()]) if tasks else None
