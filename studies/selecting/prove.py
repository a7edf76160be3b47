"""What selecting is worth: learned selections against fixed ones, on tasks that nothing was learned from.

    python studies/selecting/prove.py LEDGER... --suite SUITE... [--fitted_seeds SEED...] [--judged_seeds SEED...]

Everything that is chosen is chosen by scores on the reward split, and reported on dev. A portfolio and the best fixed
selection are chosen by the runs of all other tasks; the grid, in the condition itself, by whole runs of its own seed.
The optimum is the condition's best selection on dev, chosen under the other seeds. Differences are tested over tasks;
of several suites, also on the first alone, with a portfolio that is fitted to this alone. With --fitted_seeds, what is
chosen by the runs of other tasks is chosen by those under these seeds, and the tables are of the other seeds, or of
--judged_seeds: a confirmation on data and teachers of which nothing was seen.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from pathlib import Path

import numpy as np
from ways import FIXED, GRID, PORTFOLIO, Ways, find_ways

from kselect.cli.console import aligned, markdown
from kselect.collection.policy import CONFIDENCE
from kselect.collection.regret import Group, difference_over_tasks, standing
from kselect.collection.suite import read_suite
from kselect.collection.table import read_pool
from kselect.stats import Estimate, estimate, holm

FINE_TUNE, ALL, TEXTS = "gold", "all", "all+texts"

Table = tuple[str, list[str], list[list[str]]]
"""A title, columns and rows."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", nargs="+")
    parser.add_argument("--suite", nargs="+", required=True)
    parser.add_argument("--fitted_seeds", type=int, nargs="+", default=[])
    parser.add_argument("--judged_seeds", type=int, nargs="+", default=[])
    parser.add_argument("--confidence", type=float, default=CONFIDENCE)
    parser.add_argument("--markdown", action="store_true", help="as tables of Markdown")
    arguments = parser.parse_args()
    pool = [run for ledger in arguments.ledgers for run in read_pool(ledger)]
    suites = [read_suite(path) for path in arguments.suite]
    chosen = arguments.fitted_seeds, arguments.judged_seeds, arguments.confidence
    ways = find_ways(pool, suites, *chosen)
    first = find_ways(pool, suites[:1], *chosen) if len(suites) > 1 else None
    print(describe(ways))
    tables = [standings(ways), tests(ways, first, Path(arguments.suite[0]).stem)]
    tables += [strata(ways), few_labels(ways), gains(ways, "teacher of the same labels"), choices(ways)]
    tables += [harm(ways), advice(ways)]
    for title, columns, rows in tables:
        print()
        print(f"{title}\n\n{markdown(columns, rows)}" if arguments.markdown else aligned(title, columns, rows))


def describe(ways: Ways) -> str:
    """Say how much the tables are of."""
    seeds = Counter(Counter(condition for condition, _ in ways.groups).values())
    of = ", ".join(f"{count} of them under {number} seed{'s' * (number > 1)}" for number, count in seeds.items())
    runs = sum(map(len, ways.selections.values()))
    return f"{runs} runs in {len(ways.task_of)} conditions of {len(set(ways.task_of.values()))} tasks, {of}"


def standings(ways: Ways) -> Table:
    """Return score, regret, worst condition, gap closed and cost of each way of selecting, the least regret first.

    What was run in less than half of the groups is left out: its means are of other conditions.
    """
    usual = {name: own for name, own in ways.scores.items() if 2 * len(own) >= len(ways.groups)}
    baseline = ways.scores[FINE_TUNE]
    found = [
        standing(name, own, ways.best, baseline, ways.teacher, ways.costs.get(name, 1.0)) for name, own in usual.items()
    ]
    found.append(standing("optimum", ways.best, ways.best, baseline, ways.teacher, math.nan))
    rows = [
        [
            each.name,
            f"{each.score:.1f}",
            f"{each.regret:.2f}",
            f"{each.worst[0]:.1f} ({each.worst[1]})",
            *("" if math.isnan(value) else f"{value:.2f}" for value in (each.gap, each.cost)),
            str(each.groups),
        ]
        for each in sorted(found, key=lambda each: each.regret)
    ]
    columns = ["selection", "score", "regret", "worst condition", "gap closed", "runs", "groups"]
    return "Standings", columns, rows


def tests(ways: Ways, first: Ways | None, name_of_first: str) -> Table:
    """Return what the portfolio gains over every other way, tested over tasks, and on the first suite alone."""
    tested = _differences(ways)
    p_values = [each.p_value for each in tested.values() if each.p_value is not None]  # of all: see _differences
    adjusted = dict(zip(tested, holm(p_values), strict=True))
    alone = {} if first is None else _differences(first)
    columns = ["the portfolio less", "points", "95 % interval", "p", "p, all rows", "tasks"]
    rows = []
    for name, each in sorted(tested.items(), key=lambda item: item[1].mean):
        row = [name, f"{each.mean:+.2f}", f"{each.low:+.2f} to {each.high:+.2f}", f"{each.p_value:.4f}"]
        row += [f"{adjusted[name]:.4f}", str(each.count)]
        if first is not None:
            row += [f"{alone[name].mean:+.2f}", f"{alone[name].p_value:.4f}"] if name in alone else ["", ""]
        rows.append(row)
    if first is not None:
        columns += [f"on {name_of_first} alone", "p"]
    return "Differences, tested over tasks", columns, rows


def _differences(ways: Ways) -> dict[str, Estimate]:
    found = {
        name: difference_over_tasks(ways.scores[PORTFOLIO], own, ways.task_of) for name, own in ways.scores.items()
    }
    return {name: each for name, each in found.items() if each is not None and each.p_value is not None}


def strata(ways: Ways) -> Table:
    """Return what the portfolio gains in each stratum."""
    others = [FINE_TUNE, ALL, TEXTS, FIXED, GRID]
    own = ways.scores[PORTFOLIO]
    rows = []
    for stratum in dict.fromkeys(ways.stratum_of.values()):
        groups = [group for each in _groups(ways, stratum).values() for group in each]
        row = [stratum, str(len(groups))]
        for other in others:
            gained = [own[group] - ways.scores[other][group] for group in groups if group in ways.scores[other]]
            row.append(f"{np.mean(gained):+.1f}" if gained else "")
        rows.append(row)
    return "The portfolio by stratum, less", ["stratum", "groups", *others], rows


def few_labels(ways: Ways) -> Table:
    """Return which share of the gap from fine-tuning to the teacher is closed where labels are few."""
    names = [ALL, TEXTS, PORTFOLIO]
    rows = []
    for condition, groups in _groups(ways, "few labels").items():
        gold, teacher = (np.mean([of[group] for group in groups]) for of in (ways.scores[FINE_TUNE], ways.teacher))
        row = [condition, f"{gold:.1f}", f"{teacher:.1f}"]
        for name in names:
            score = np.mean([ways.scores[name][group] for group in groups])
            row.append(f"{(score - gold) / (teacher - gold):.2f}")
        rows.append(row)
    return "Gap closed with few labels", ["condition", FINE_TUNE, "teacher", *names], rows


def gains(ways: Ways, stratum: str) -> Table:
    """Return what ways of selecting gain over fine-tuning in the conditions of a stratum."""
    names = [ALL, TEXTS, "all+texts>gold", "inner+texts", PORTFOLIO]
    rows = []
    for condition, groups in _groups(ways, stratum).items():
        row = [condition, f"{np.mean([ways.scores[FINE_TUNE][group] for group in groups]):.1f}"]
        for name in names:
            own = ways.scores[name]
            shared = [own[group] - ways.scores[FINE_TUNE][group] for group in groups if group in own]
            found = estimate(shared) if shared else None
            row.append("" if found is None else f"{found.mean:+.1f} ± {found.se:.1f}")
        rows.append(row)
    return f"Gain over fine-tuning: {stratum}", ["condition", FINE_TUNE, *names], rows


def _groups(ways: Ways, stratum: str) -> dict[str, list[Group]]:
    """Return the groups of each condition of a stratum."""
    names = [name for name, own in ways.stratum_of.items() if own == stratum]
    return {name: [group for group in ways.groups if group[0] == name] for name in names}


def choices(ways: Ways) -> Table:
    """Return what the portfolio chooses in each condition."""
    rows = []
    for condition in dict.fromkeys(choice.group[0] for choice in ways.choices):
        own = [choice for choice in ways.choices if choice.group[0] == condition]
        taken = Counter(choice.selection for choice in own)
        means = {name: float(np.mean([ways.selections[each.group][name] for each in own])) for name in own[0].gains}
        best = max(means, key=lambda name: means[name])
        rows.append(
            [
                condition,
                ", ".join(f"{name} ({count})" for name, count in taken.most_common()),
                f"{np.mean([ways.selections[each.group][each.selection] for each in own]):.1f}",
                f"{np.mean([ways.selections[each.group][each.default] for each in own]):.1f}",
                f"{best} {means[best]:.1f}",
            ]
        )
    return "Choices", ["condition", "choice", "score", "in doubt", "best of the others, by dev"], rows


def harm(ways: Ways) -> Table:
    """Return the conditions in which the portfolio is below fine-tuning by more than two standard errors."""
    own, baseline = ways.scores[PORTFOLIO], ways.scores[FINE_TUNE]
    rows = []
    for condition in dict.fromkeys(condition for condition, _ in own):
        gain = estimate([own[group] - baseline[group] for group in own if group[0] == condition])
        if gain.mean < -2 * gain.se:
            rows.append([condition, f"{gain.mean:+.1f} ± {gain.se:.1f}", str(gain.count)])
    title = "Harm: below fine-tuning by more than two standard errors"
    return title, ["condition", "points", "seeds"], rows or [["none", "", ""]]


def advice(ways: Ways) -> Table:
    """Return how often expected gains have the right sign, and their intervals cover what was observed."""
    rows = []
    for other in (FINE_TUNE, ALL):
        right, covered = [], []
        for condition in dict.fromkeys(choice.group[0] for choice in ways.choices):
            own = [each for each in ways.choices if each.group[0] == condition and other in each.gains]
            if own:
                scores = [ways.selections[each.group] for each in own]
                gained = [row[each.selection] - row[other] for row, each in zip(scores, own, strict=True)]
                expected = float(np.mean([each.gains[other].mean for each in own]))
                right.append(np.sign(np.mean(gained)) == np.sign(expected))
                intervals = [each.interval(other) for each in own]
                covered += [low < gain < high for (low, high), gain in zip(intervals, gained, strict=True)]
        if right:
            rows.append([other, f"{100 * np.mean(right):.0f} %", str(len(right)), f"{100 * np.mean(covered):.0f} %"])
    columns = ["expected gain over", "sign right", "conditions", "90 % intervals cover"]
    return "Advice on left-out tasks", columns, rows


if __name__ == "__main__":
    main()
