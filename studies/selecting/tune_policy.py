"""How the policy that comes with the package was chosen: its regret on left-out tasks, by the reward split alone.

    python studies/selecting/tune_policy.py LEDGER... --seeds 0 1

Regret is the best score of a group, the same condition and seed, less that of what is chosen, on the split that choices
are made by. The best of many selections is also the luckiest, so that no choice has a regret of 0. The first table
compares ways of describing selections with the largest expected gain taken, however small; the second one how sure
another selection must be to be taken in place of the one in doubt.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kselect.cli.console import print_table
from kselect.collection.fit import Trial, trials
from kselect.collection.policy import READ, choose_on_left_out_tasks
from kselect.collection.table import read_pool
from kselect.collection.traits import TRAITS

FACTS = (READ, ("label_ratio", "words"), ("label_ratio", "teacher_less_probe", "words"))
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)
TEXTS = TRAITS.index("texts_mean")


def apart(observed: Sequence[Trial]) -> list[Trial]:
    """Return trials whose selections have no trait in common, so that each has coefficients of its own."""
    names = list(dict.fromkeys(trial.selection for trial in observed))
    return [replace(each, traits=tuple(float(each.selection == name) for name in names)) for each in observed]


def regret(
    observed: Sequence[Trial], facts: Sequence[str], confidence: float, fitted_to: Sequence[Trial] | None = None
) -> list[str]:
    """Return the mean regret over groups and over tasks, as cells of a table."""
    scores: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for trial in observed:
        scores[trial.group][trial.selection] = trial.score
    by_task: dict[str, list[float]] = defaultdict(list)
    for choice in choose_on_left_out_tasks(observed, facts, confidence, fitted_to):
        row = scores[choice.group]
        by_task[choice.task].append(max(row.values()) - row[choice.selection])
    over_groups = np.mean(np.concatenate(list(by_task.values())))
    return [f"{over_groups:.2f}", f"{np.mean([np.mean(each) for each in by_task.values()]):.2f}"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+")
    arguments = parser.parse_args()
    runs = [run for ledger in arguments.ledgers for run in read_pool(ledger)]
    observed = trials([run for run in runs if arguments.seeds is None or run.seed in arguments.seeds], "reward")
    whole_texts = [trial for trial in observed if not trial.facts["words"]]
    rows = []
    for facts in FACTS:
        for name, describe in (("by its traits", list), ("apart", apart)):
            cells = [cell for each in (observed, whole_texts) for cell in regret(describe(each), facts, 0.5)]
            rows.append([name, ", ".join(facts), *cells])
    columns = ["each selection", "facts", "regret", "over tasks", "fitted to whole texts alone", "over tasks"]
    print_table("Descriptions of selections", columns, rows)
    print()
    labelled = [trial for trial in observed if trial.traits[TEXTS] == 0]
    rows = [
        [f"{confidence:.0%}", *regret(observed, READ, confidence), *regret(labelled, READ, confidence, observed)]
        for confidence in CONFIDENCES
    ]
    columns = ["sure by", "regret", "over tasks", "without further texts", "over tasks"]
    print_table("How sure another selection must be", columns, rows)


if __name__ == "__main__":
    main()
