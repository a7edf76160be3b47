"""What selecting is worth: learned selections against fixed ones, on tasks that nothing was learned from.

    python studies/selecting/prove.py LEDGER... --suite SUITE... [--fitted_seeds SEED...]

Everything that is chosen is chosen by scores on the reward split, and reported on dev. A portfolio and the best fixed
selection are chosen by the runs of all other tasks; the grid, in the condition itself, by whole runs of its own seed.
The optimum is the condition's best selection on dev, chosen under the other seeds. Differences are tested over tasks.
With --fitted_seeds, what is chosen by the runs of other tasks is chosen by those under these seeds, and the tables are
of the other seeds: a confirmation on data and teachers of which nothing was seen.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from kselect.agents.stages import Stages
from kselect.cli.console import print_table
from kselect.collection.fit import ranked, trials
from kselect.collection.policy import CONFIDENCE, Choice, choose_on_left_out_tasks
from kselect.collection.regret import Group, Scores, difference_over_tasks, optimum, scores_of, standing
from kselect.collection.replay import race
from kselect.collection.suite import read_suite
from kselect.collection.table import Run, read_pool
from kselect.stats import estimate, holm
from kselect.tasks.transfer import TRANSFER

PORTFOLIO, FIXED, GRID, RACE = "portfolio", "best fixed of other tasks", "grid", "race at a quarter"
FINE_TUNE, ALL, TEXTS = "gold", "all", "all+texts"
RACED = ("all+texts>gold", "gold+logits", "inner+texts", "all")
"""Selections that race, the default first."""
GRID_OF = (
    *("gold", "gold+logits", "logits", "all"),
    *("gold+logits+texts", "inner+texts", "all+texts", "all+texts>gold"),
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", nargs="+")
    parser.add_argument("--suite", nargs="+", required=True)
    parser.add_argument("--fitted_seeds", type=int, nargs="+", default=[])
    parser.add_argument("--confidence", type=float, default=CONFIDENCE)
    arguments = parser.parse_args()
    selections: dict[str, Stages] = {}
    costs: dict[str, float] = {}
    for path in arguments.suite:
        suite = read_suite(path)
        selections |= suite.selections
        costs |= {name: 1.0 + agent.episodes for name, agent in suite.agents.items()}
    every = read_complete(arguments.ledgers, set(selections))
    earlier = [run for run in every if run.seed in arguments.fitted_seeds]
    runs = [run for run in every if run.seed not in arguments.fitted_seeds]
    task_of = {run.condition: run.task for run in runs}
    stratum_of = {run.condition: run.stratum for run in runs}
    scores = scores_of(runs)
    observed = trials(runs, "reward")
    learned_from = trials(earlier, "reward") or observed
    choices = choose_on_left_out_tasks(observed, confidence=arguments.confidence, fitted_to=learned_from)
    ways = {name: {group: row[name] for group, row in scores.items() if name in row} for name in names_in(scores)}
    ways[PORTFOLIO] = {each.group: scores[each.group][each.selection] for each in choices}
    rankings = {task: ranked([trial for trial in learned_from if trial.task != task]) for task in set(task_of.values())}
    ways[FIXED] = {
        group: next(row[name] for name in rankings[task_of[group[0]]] if name in row) for group, row in scores.items()
    }
    for name, branches, mark in ((GRID, GRID_OF, 1.0), (RACE, RACED, 0.25)):
        outcomes = race([run for run in runs if run.stages], branches, mark)
        ways[name] = {(each.condition, each.seed): 100 * each.score for each in outcomes}
        costs[name] = float(np.mean([each.cost for each in outcomes]))
    best = {group: score for group, score in optimum(scores_of(every), list(selections)).items() if group in scores}
    teacher = {(run.condition, run.seed): 100 * run.teacher["dev"]["score"] for run in runs}
    print_standings(ways, costs, best, teacher)
    print_tests(ways, task_of)
    print_strata(ways, stratum_of)
    print_choices(choices, scores)
    print_harm(ways)
    print_advice(choices, scores)


def read_complete(ledgers: Sequence[str], selections: set[str]) -> list[Run]:
    """Return the runs of agents and of these selections, where all of them have been run."""
    runs = [run for ledger in ledgers for run in read_pool(ledger)]
    return complete([run for run in runs if run.selection in selections or not run.stages], selections)


def complete(runs: Sequence[Run], selections: set[str]) -> list[Run]:
    """Return the runs of conditions and seeds in which all selections that are possible there have been run."""
    found: dict[tuple[bool, Group], set[str]] = defaultdict(set)
    for run in runs:
        if run.selection in selections:
            found[TRANSFER in run.rows, (run.condition, run.seed)].add(run.selection)
    most = {kind: max((len(names) for (own, _), names in found.items() if own == kind), default=0) for kind in (0, 1)}
    whole = {group for (kind, group), names in found.items() if len(names) == most[kind]}
    return [run for run in runs if (run.condition, run.seed) in whole]


def names_in(scores: Scores) -> list[str]:
    """Return what selected in any group."""
    return list(dict.fromkeys(name for row in scores.values() for name in row))


def print_standings(
    ways: Mapping[str, Mapping[Group, float]],
    costs: Mapping[str, float],
    best: Mapping[Group, float],
    teacher: Mapping[Group, float],
) -> None:
    """Print score, regret, worst condition, gap closed and cost of each way of selecting, the least regret first.

    What was run in less than half of the conditions is left out: its means are of other conditions.
    """
    usual = {name: own for name, own in ways.items() if 2 * len(own) >= len(ways[PORTFOLIO])}
    found = [standing(name, own, best, ways[FINE_TUNE], teacher, costs.get(name, 1.0)) for name, own in usual.items()]
    found.append(standing("optimum", best, best, ways[FINE_TUNE], teacher, float("nan")))
    rows = [
        [
            each.name,
            f"{each.score:.1f}",
            f"{each.regret:.2f}",
            f"{each.worst[0]:.1f} ({each.worst[1]})",
            f"{each.gap:.2f}",
            f"{each.cost:.2f}",
            str(each.groups),
        ]
        for each in sorted(found, key=lambda each: each.regret)
    ]
    columns = ["selection", "score", "regret", "worst condition", "gap closed", "runs", "conditions x seeds"]
    print_table("Standings", columns, rows)


def print_tests(ways: Mapping[str, Mapping[Group, float]], task_of: Mapping[str, str]) -> None:
    """Print what the portfolio gains over every other way, tested over tasks."""
    found = {name: difference_over_tasks(ways[PORTFOLIO], own, task_of) for name, own in ways.items()}
    tested = {name: each for name, each in found.items() if each is not None and each.p_value is not None}
    adjusted = dict(
        zip(tested, holm([each.p_value for each in tested.values() if each.p_value is not None]), strict=True)
    )
    rows = [
        [
            name,
            f"{each.mean:+.2f}",
            f"{each.low:+.2f} to {each.high:+.2f}",
            f"{each.p_value:.4f}",
            f"{adjusted[name]:.4f}",
            str(each.count),
        ]
        for name, each in sorted(tested.items(), key=lambda item: item[1].mean)
    ]
    print_table("The portfolio less", ["selection", "points", "95 % interval", "p", "p, all rows", "tasks"], rows)


def print_strata(ways: Mapping[str, Mapping[Group, float]], stratum_of: Mapping[str, str]) -> None:
    """Print what the portfolio gains in each stratum."""
    others = [FINE_TUNE, ALL, TEXTS, FIXED, GRID]
    rows = []
    for stratum in dict.fromkeys(stratum_of.values()):
        groups = [group for group in ways[PORTFOLIO] if stratum_of[group[0]] == stratum]
        row = [stratum, str(len(groups))]
        for other in others:
            gains = [ways[PORTFOLIO][group] - ways[other][group] for group in groups if group in ways[other]]
            row.append(f"{np.mean(gains):+.1f}" if gains else "")
        rows.append(row)
    print_table("The portfolio by stratum, less", ["stratum", "groups", *others], rows)


def print_choices(choices: Sequence[Choice], scores: Scores) -> None:
    """Print what the portfolio chooses in each condition."""
    rows = []
    for condition in dict.fromkeys(choice.group[0] for choice in choices):
        own = [choice for choice in choices if choice.group[0] == condition]
        taken = Counter(choice.selection for choice in own)
        means = {name: float(np.mean([scores[each.group][name] for each in own])) for name in own[0].gains}
        best = max(means, key=lambda name: means[name])
        score = np.mean([scores[each.group][each.selection] for each in own])
        default = np.mean([scores[each.group][each.default] for each in own])
        rows.append(
            [
                condition,
                ", ".join(f"{name} ({count})" for name, count in taken.most_common()),
                f"{score:.1f}",
                f"{default:.1f}",
                f"{best} {means[best]:.1f}",
            ]
        )
    print_table("Choices", ["condition", "choice", "score", "default", "best of the others, by dev"], rows)


def print_harm(ways: Mapping[str, Mapping[Group, float]]) -> None:
    """Print the conditions in which the portfolio is below fine-tuning by more than two standard errors."""
    rows = []
    for condition in dict.fromkeys(group[0] for group in ways[PORTFOLIO]):
        groups = [group for group in ways[PORTFOLIO] if group[0] == condition]
        gain = estimate([ways[PORTFOLIO][group] - ways[FINE_TUNE][group] for group in groups])
        if gain.mean < -2 * gain.se:
            rows.append([condition, f"{gain.mean:+.1f} ± {gain.se:.1f}", str(gain.count)])
    if rows:
        print_table("Harm: below fine-tuning", ["condition", "points", "seeds"], rows)
    else:
        print("Harm: in no condition below fine-tuning by more than two standard errors.")


def print_advice(choices: Sequence[Choice], scores: Scores) -> None:
    """Print how often expected gains have the right sign, and their intervals cover what was observed."""
    rows = []
    for other in (FINE_TUNE, ALL):
        right, covered = [], []
        for condition in dict.fromkeys(choice.group[0] for choice in choices):
            own = [each for each in choices if each.group[0] == condition and other in each.gains]
            if own:
                observed = [scores[each.group][each.selection] - scores[each.group][other] for each in own]
                expected = float(np.mean([each.gains[other].mean for each in own]))
                right.append(np.sign(np.mean(observed)) == np.sign(expected))
                intervals = [each.interval(other) for each in own]
                covered += [low < gain < high for (low, high), gain in zip(intervals, observed, strict=True)]
        if right:
            rows.append([other, f"{100 * np.mean(right):.0f} %", str(len(right)), f"{100 * np.mean(covered):.0f} %"])
    columns = ["expected gain over", "sign right", "conditions", "90 % intervals cover"]
    print_table("Advice on left-out tasks", columns, rows)


if __name__ == "__main__":
    main()
