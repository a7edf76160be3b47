"""Table the runs of agents over seeds from a ledger: of `kselect compare`, or of the published comparisons.

    python studies/compare_agents.py studies/results/selection.jsonl --baseline fine-tune

New runs are those of `kselect compare --agents fine-tune,vanilla-kd --seeds 0,1,2`, whose run folder has a ledger.
The time is that of training the student and of the agent; reading the teacher is left out, since its outputs are
computed once for all agents that read the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from study_settings import print_table, run_main

from kselect.config import DistillSettings, names_with
from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from kselect.training.comparison import DECIDING, KEY, MEANINGS, compare, table

OF_AGENTS = names_with(DistillSettings, set_by_agent=True)


def shared_settings(entry: dict[str, Any]) -> str:
    """Return the settings that the runs on a task must have in common; None counts as missing, since it may be new."""
    settings = {name: value for name, value in entry["settings"].items() if name not in OF_AGENTS}
    return json.dumps({name: value for name, value in settings.items() if value is not None}, sort_keys=True)


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Return the latest entry of each run, with the time that agents differ in.

    Raises:
        KselectError: No entries, or runs on one task under different settings.
    """
    entries = list(Ledger(path, KEY).latest().values())
    if not entries:
        raise KselectError(f"{path} has no runs: give a ledger.")
    for task in dict.fromkeys(entry["task"] for entry in entries):
        if len({shared_settings(entry) for entry in entries if entry["task"] == task}) > 1:
            raise KselectError(f"{path} has runs on {task} under different settings: use a ledger for each.")
    for entry in entries:
        if "seconds" in entry:
            entry["seconds"] = {part: entry["seconds"][part] for part in ("student", *DECIDING)}
    return entries


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--baseline", help="label that the others are compared with; the first by default")

    def act(options: argparse.Namespace) -> None:
        for comparison in compare(read_entries(options.ledger), options.baseline):
            print(f"\n{comparison.task}, {comparison.examples} examples of dev")
            print_table(*table(comparison))
        print(MEANINGS)

    run_main(parser, act)


if __name__ == "__main__":
    main()
