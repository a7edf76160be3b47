"""What there is to win by selecting: the best selection of each condition against the best fixed one.

    python studies/selecting/headroom.py LEDGER [--split dev]

Both are cross-fitted: chosen by the runs of the other seeds, and scored on the seed that was left out, so that neither
wins by the luck of the runs that it is chosen by. The best fixed selection is that with the best mean over all other
tasks; the condition's own best is chosen in the same condition. With a single seed nothing can be cross-fitted, and the
in-sample spread is all that is shown.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from kselect.cli.console import print_table
from kselect.collection.table import Run, read_pool
from kselect.stats import estimate

Scores = Mapping[tuple[str, int], Mapping[str, float]]


def scores_of(runs: Sequence[Run], split: str) -> Scores:
    """Return the score in points of each selection, by condition and seed; only of complete groups."""
    groups: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for run in runs:
        groups[run.condition, run.seed][run.selection] = 100 * run.score(1.0, split)
    most = max(map(len, groups.values()))
    return {group: found for group, found in groups.items() if len(found) == most}


def best(rows: Sequence[Mapping[str, float]]) -> str:
    """Return the selection with the best mean."""
    return max(rows[0], key=lambda name: float(np.mean([row[name] for row in rows])))


def cross_fitted(scores: Scores, task_of: Mapping[str, str]) -> dict[str, list[tuple[float, float, float]]]:
    """Return, by condition, the scores of its own best, of the best fixed selection, and of `all` under each seed."""
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for (condition, seed), row in scores.items():
        own = [other for (name, number), other in scores.items() if name == condition and number != seed]
        elsewhere = [other for (name, _), other in scores.items() if task_of[name] != task_of[condition]]
        if own and elsewhere:
            found[condition].append((row[best(own)], row[best(elsewhere)], row["all"]))
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger")
    parser.add_argument("--split", default="dev", choices=("dev", "reward"))
    arguments = parser.parse_args()
    runs = read_pool(arguments.ledger)
    scores = scores_of(runs, arguments.split)
    names = list(next(iter(scores.values())))
    rows = []
    for condition in dict.fromkeys(name for name, _ in scores):
        own = [row for (name, _), row in scores.items() if name == condition]
        means = {name: float(np.mean([row[name] for row in own])) for name in names}
        top = max(means, key=lambda name: means[name])
        rows.append([condition, *(f"{'**' * (name == top)}{means[name]:.1f}{'**' * (name == top)}" for name in names)])
        rows[-1].append(str(len(own)))
    print_table("Scores", ["condition", *names, "seeds"], rows)
    found = cross_fitted(scores, {run.condition: run.task for run in runs})
    if not found:
        return
    rows = []
    gains = []
    for condition, triples in found.items():
        own, fixed, everything = np.mean(triples, axis=0)
        gains.append((own - fixed, own - everything))
        rows.append([condition, f"{own:.1f}", f"{fixed:.1f}", f"{everything:.1f}", f"{own - fixed:+.1f}"])
    print_table("Cross-fitted", ["condition", "own best", "best fixed of other tasks", "all", "headroom"], rows)
    for name, values in zip(("the best fixed selection", "all"), zip(*gains, strict=True), strict=True):
        summary = estimate(list(values))
        print(f"mean headroom over {name}: {summary.mean:+.2f} points, sd over conditions {summary.sd:.2f}")


if __name__ == "__main__":
    main()
