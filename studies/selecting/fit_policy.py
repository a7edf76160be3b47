"""Fit the policy that comes with the package to the runs of a pool.

    python studies/selecting/fit_policy.py LEDGER... --suite SUITE... --seeds 0 1 --output kselect/policies/auto

It is fitted to scores on the reward split, under the seeds that are given, or all. With several suites, whose
selections have the same names, a selection weights what any of them weights: kinds that a run does not offer are left
out there. README.md in the folder says what the policy was fitted to. How good it is, prove.py shows.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kselect import io
from kselect.agents.stages import Stages
from kselect.collection.fit import trials
from kselect.collection.policy import CONFIDENCE, READ, make_portfolio, save_policy
from kselect.collection.suite import Suite, read_suite
from kselect.collection.table import read_pool

CARD = """\
# The policy `auto`

A portfolio: it takes `{default}`, or the next of its {selections} selections that can be taken, unless
another one is better with a probability above {confidence:.0%}. That is judged by facts of the run, before it begins:
{facts}.

It was fitted to {runs} runs of {conditions} conditions over {tasks} tasks ({names}),
under the seeds {seeds}, by their scores on the reward split:

```
{command}
```

The suites say how these runs were made: three-layer students of six-layer teachers of 384 dimensions, some 50 to 100
training steps. docs/does-selecting-help.md shows what it chooses on tasks that it was not fitted to.
"""


def merged(suites: Sequence[Suite]) -> Suite:
    """Return a suite with the selections of all, which have the same names, and what any of them has on offer."""
    first, *others = suites
    selections = {name: [dict(stage) for stage in stages] for name, stages in first.selections.items()}
    names = list(first.knowledge.knowledge or ())
    for other in others:
        if other.selections.keys() != selections.keys():
            raise SystemExit("The suites have selections of different names: give those that share them.")
        names += [name for name in other.knowledge.knowledge or () if name not in names]
        for name, stages in other.selections.items():
            for own, its in zip(selections[name], stages, strict=True):
                own["weights"] = {**its["weights"], **own["weights"]}
    found: dict[str, Stages] = {**selections}
    return replace(first, selections=found, knowledge=replace(first.knowledge, knowledge=names))


def main() -> None:
    """Fit the policy, and save it with its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", nargs="+")
    parser.add_argument("--suite", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--confidence", type=float, default=CONFIDENCE)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    suite = merged([read_suite(path) for path in arguments.suite])
    pool = [run for ledger in arguments.ledgers for run in read_pool(ledger)]
    seeds = arguments.seeds or {run.seed for run in pool}
    runs = [run for run in pool if run.selection in suite.selections and run.seed in seeds]
    observed = trials(runs, "reward")
    agent = make_portfolio(observed, suite, confidence=arguments.confidence)
    save_policy(agent, suite, arguments.output)
    tasks = sorted({run.task for run in runs})
    card = CARD.format(
        selections=len(suite.selections),
        facts=", ".join(READ),
        default=agent.default,
        confidence=arguments.confidence,
        runs=len(observed),
        conditions=len({run.condition for run in runs}),
        tasks=len(tasks),
        names=", ".join(tasks),
        seeds=", ".join(map(str, sorted({run.seed for run in runs}))),
        command=shlex.join(["python", *sys.argv]),
    )
    io.write_text(arguments.output / "README.md", card)
    print(f"policy: {arguments.output}, default {agent.default}")


if __name__ == "__main__":
    main()
