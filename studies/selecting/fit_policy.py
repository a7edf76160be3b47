"""Fit a portfolio to a pool, and show what it chooses on tasks that it was not fitted to.

    python studies/selecting/fit_policy.py LEDGER SUITE [--output FOLDER]

Each task in turn is left out; the portfolio that is fitted to the others chooses in its conditions. The table has the
score of the choice against that of the default (the best fixed selection of the other tasks), of `all`, and of
fine-tuning. With --output, the portfolio that is fitted to all tasks is saved as a policy.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from kselect.cli.console import print_table
from kselect.collection.fit import by_group, trials
from kselect.collection.policy import choose_on_left_out_tasks, make_portfolio, save_policy
from kselect.collection.suite import read_suite
from kselect.collection.table import read_pool
from kselect.stats import estimate

FIXED = ("gold", "all")
SCORES = ("score", "default_score", "best_score")


def main() -> None:
    """Print the table, and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger")
    parser.add_argument("suite")
    parser.add_argument("--confidence", type=float, default=0.9)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    suite = read_suite(arguments.suite)
    observed = trials(read_pool(arguments.ledger))
    choices = choose_on_left_out_tasks(observed, suite.selections, confidence=arguments.confidence)
    scores = {
        group: {trial.selection: trial.score for trial in members} for group, members in by_group(observed).items()
    }
    rows = []
    for condition in dict.fromkeys(choice.group[0] for choice in choices):
        own = [choice for choice in choices if choice.group[0] == condition]
        taken = Counter(choice.selection for choice in own)
        others = [np.mean([scores[choice.group][name] for choice in own]) for name in FIXED]
        means = [np.mean([getattr(choice, name) for choice in own]) for name in SCORES]
        expected = np.mean([choice.expected for choice in own], axis=0)
        rows.append(
            [
                condition,
                ", ".join(f"{name} ({count})" for name, count in taken.most_common()),
                f"{expected[0]:+.1f} ± {expected[1]:.1f}",
                *(f"{value:.1f}" for value in (*means, *others)),
            ]
        )
    print_table("Left-out tasks", ["condition", "choice", "expected gain", "score", "default", "best", *FIXED], rows)
    for name, other in (
        ("the default", [choice.default_score for choice in choices]),
        *((name, [scores[choice.group][name] for choice in choices]) for name in FIXED),
    ):
        gain = estimate([choice.score - value for choice, value in zip(choices, other, strict=True)])
        print(f"mean gain over {name}: {gain.mean:+.2f} points, sd {gain.sd:.2f}, {gain.count} groups")
    if arguments.output is not None:
        save_policy(make_portfolio(observed, suite, confidence=arguments.confidence), suite, arguments.output)
        print(f"policy: {arguments.output}")


if __name__ == "__main__":
    main()
