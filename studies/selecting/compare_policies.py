"""Compare policies of a pool on tasks that they were not fitted to.

    python studies/selecting/compare_policies.py LEDGER [LEDGER ...] --suite SUITE [--output FOLDER]

Each task in turn is left out; an offline actor-critic and a portfolio that are fitted to the others choose in its
conditions, among the selections that were run there. The regret of a choice is the score of the best run of its
condition and seed, less that of the choice, in points of dev; the best run is so in part by luck, alike for all. A
condition's regret is the mean over its seeds, a task's is that over its conditions, and tasks count alike. The random
weights of tasks under which critics are fitted depend on a seed; `--fits` says how many are averaged.
With --output, the actor-critic that is fitted to all tasks is saved as a policy.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np

from kselect.cli.console import print_table
from kselect.collection.actor_critic_policy import choose_by_actor_critic, make_actor_critic
from kselect.collection.fit import Trial, best_fixed, by_group, trials
from kselect.collection.policy import choose_on_left_out_tasks, save_policy
from kselect.collection.suite import read_suite
from kselect.collection.table import read_pool

Group = tuple[str, int]


def regrets(groups: Mapping[Group, list[Trial]], choices: Mapping[Group, str]) -> dict[str, float]:
    """Return the mean regret of each condition in which something was chosen, in points."""
    found: dict[str, list[float]] = {}
    for group, name in choices.items():
        scores = {trial.selection: trial.score for trial in groups[group]}
        if name in scores:
            found.setdefault(group[0], []).append(max(scores.values()) - scores[name])
    return {condition: float(np.mean(each)) for condition, each in found.items()}


def main() -> None:
    """Print the table, and save the policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", nargs="+")
    parser.add_argument("--suite", required=True)
    parser.add_argument("--pessimism", type=float, default=1.0)
    parser.add_argument("--fits", type=int, default=5)
    parser.add_argument("--combine", action="store_true", help="the saved policy also combines halves of selections")
    parser.add_argument("--output")
    arguments = parser.parse_args()
    suite = read_suite(arguments.suite)
    observed = trials(run for ledger in arguments.ledgers for run in read_pool(ledger))
    most = max(map(len, by_group(observed).values()))
    groups = {group: members for group, members in by_group(observed).items() if len(members) == most}
    observed = [trial for members in groups.values() for trial in members]
    task_of = {group: members[0].task for group, members in groups.items()}
    tasks = dict.fromkeys(task_of.values())
    fixed = {task: best_fixed([trial for trial in observed if trial.task != task]) for task in tasks}
    policies: dict[str, list[Mapping[Group, str]]] = {
        "actor-critic": [
            choose_by_actor_critic(observed, pessimism=arguments.pessimism, seed=seed) for seed in range(arguments.fits)
        ],
        "portfolio": [{choice.group: choice.selection for choice in choose_on_left_out_tasks(observed)}],
        "best fixed of other tasks": [{group: fixed[task] for group, task in task_of.items()}],
        "all": [dict.fromkeys(groups, "all")],
    }
    rows = []
    for name, fits in policies.items():
        means, worst = [], []
        for choices in fits:
            by_condition = regrets(groups, choices)
            by_task: dict[str, list[float]] = {}
            for (condition, _), task in {(group[0], task): task for group, task in task_of.items()}.items():
                if condition in by_condition:
                    by_task.setdefault(task, []).append(by_condition[condition])
            means.append([float(np.mean(each)) for each in by_task.values()])
            worst.append(max(by_condition.values()))
        total = [np.mean(each) for each in means]
        spread = np.std(np.mean(means, axis=0), ddof=1) / np.sqrt(len(means[0])) if len(means[0]) > 1 else np.nan
        rows.append([name, f"{np.mean(total):.2f} ± {spread:.2f}", f"{np.mean(worst):.2f}"])
    conditions = len({condition for condition, _ in groups})
    print(f"{len(groups)} groups of {most} selections, {conditions} conditions, {len(tasks)} tasks")
    print_table("Left-out tasks", ["policy", "mean regret ± se over tasks", "worst condition"], rows)
    if arguments.output is not None:
        policy = make_actor_critic(observed, suite, combine=arguments.combine, pessimism=arguments.pessimism)
        save_policy(policy, suite, arguments.output)
        print(f"policy: {arguments.output}")


if __name__ == "__main__":
    main()
