"""Scores of all ways of selecting in a pool: fixed selections, agents, and what is chosen by runs of other tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kselect.collection.fit import ranked, trials
from kselect.collection.policy import CONFIDENCE, Choice, choose_on_left_out_tasks
from kselect.collection.regret import Group, Scores, optimum, scores_of
from kselect.collection.replay import race
from kselect.collection.suite import Suite
from kselect.collection.table import Run
from kselect.tasks.transfer import TRANSFER

PORTFOLIO, FIXED, GRID, RACE = "portfolio", "best fixed of other tasks", "grid", "race at a quarter"
RACED = ("all+texts>gold", "gold+logits", "inner+texts", "all")
"""Selections that race, the default first."""
GRID_OF = (
    *("gold", "gold+logits", "logits", "all"),
    *("gold+logits+texts", "inner+texts", "all+texts", "all+texts>gold"),
)


@dataclass(frozen=True)
class Ways:
    """Ways of selecting in the conditions of a pool.

    Attributes:
        scores: on dev in points, by way and group.
        costs: of a way, in runs; 1 where it is missing.
        selections: the score of each fixed selection and agent that was run, by group.
        best: the score of the optimum by group, see `kselect.collection.regret.optimum`.
        teacher: the score of the teacher by group.
        choices: of the portfolio.
        task_of: the task of each condition.
        stratum_of: the stratum of each condition.
    """

    scores: Mapping[str, Mapping[Group, float]]
    costs: Mapping[str, float]
    selections: Scores
    best: Mapping[Group, float]
    teacher: Mapping[Group, float]
    choices: Sequence[Choice]
    task_of: Mapping[str, str]
    stratum_of: Mapping[str, str]

    @property
    def groups(self) -> Sequence[Group]:
        """The conditions and seeds in which the portfolio chooses."""
        return [choice.group for choice in self.choices]


def find_ways(
    pool: Sequence[Run],
    suites: Sequence[Suite],
    fitted_seeds: Sequence[int] = (),
    judged_seeds: Sequence[int] = (),
    confidence: float = CONFIDENCE,
) -> Ways:
    """Score every way of selecting in the conditions of suites.

    A portfolio and the best fixed selection are chosen by the runs of all other tasks, the grid and the race by those
    of the condition and seed themselves.

    Args:
        pool: all runs.
        suites: those whose conditions count.
        fitted_seeds: seeds whose runs of other tasks choose; by default all.
        judged_seeds: seeds that count; by default all but those of `fitted_seeds`.
        confidence: see `kselect.collection.policy.CONFIDENCE`.
    """
    names = {name for suite in suites for name in suite.selections}
    conditions = {name for suite in suites for name in suite.conditions}
    every = complete(
        [run for run in pool if run.condition in conditions and (run.selection in names or not run.stages)], names
    )
    earlier = [run for run in every if run.seed in fitted_seeds]
    counts = set(judged_seeds) or {run.seed for run in every} - {*fitted_seeds}
    runs = [run for run in every if run.seed in counts]
    task_of = {run.condition: run.task for run in runs}
    found = scores_of(runs)
    observed = trials(runs, "reward")
    learned_from = trials(earlier, "reward") or observed
    choices = choose_on_left_out_tasks(observed, confidence=confidence, fitted_to=learned_from)
    ways = {name: {group: row[name] for group, row in found.items() if name in row} for name in _names(found)}
    ways[PORTFOLIO] = {each.group: found[each.group][each.selection] for each in choices}
    rankings = {task: ranked([trial for trial in learned_from if trial.task != task]) for task in set(task_of.values())}
    ways[FIXED] = {
        group: next(row[name] for name in rankings[task_of[group[0]]] if name in row) for group, row in found.items()
    }
    costs = {name: 1.0 + agent.episodes for suite in suites for name, agent in suite.agents.items()}
    for name, branches, mark in ((GRID, GRID_OF, 1.0), (RACE, RACED, 0.25)):
        outcomes = race([run for run in runs if run.stages], branches, mark)
        ways[name] = {(each.condition, each.seed): 100 * each.score for each in outcomes}
        costs[name] = float(np.mean([each.cost for each in outcomes]))
    best = optimum(scores_of(every), [name for suite in suites for name in suite.selections])
    return Ways(
        scores=ways,
        costs=costs,
        selections=found,
        best={group: score for group, score in best.items() if group in found},
        teacher={(run.condition, run.seed): 100 * run.teacher["dev"]["score"] for run in runs},
        choices=choices,
        task_of=task_of,
        stratum_of={run.condition: run.stratum for run in runs},
    )


def complete(runs: Sequence[Run], selections: set[str]) -> list[Run]:
    """Return the runs of conditions and seeds in which all selections that are possible there have been run."""
    found: dict[tuple[bool, Group], set[str]] = defaultdict(set)
    for run in runs:
        if run.selection in selections:
            found[TRANSFER in run.rows, (run.condition, run.seed)].add(run.selection)
    most = {kind: max((len(names) for (own, _), names in found.items() if own == kind), default=0) for kind in (0, 1)}
    whole = {group for (kind, group), names in found.items() if len(names) == most[kind]}
    return [run for run in runs if (run.condition, run.seed) in whole]


def _names(scores: Scores) -> list[str]:
    return list(dict.fromkeys(name for row in scores.values() for name in row))
