"""Which reward orders selections rightly: the share of pairs that each measure on the reward split orders as dev does.

    python studies/selecting/order_pairs.py POOL [--points 3]

For each condition and seed of a pool, every pair of selections whose scores on dev differ at the end by more than some
points counts once. A measure, taken on the reward split at a quarter, at half or at the end of the run, orders the pair
rightly if it prefers the one with the better score. Conditions with wrong labels, which the reward split shares, are
shown apart.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.cli.console import print_table
from kselect.collection.table import Run, read_pool
from kselect.config import REWARDS
from kselect.distillation.calibration import Positions, calibrated_losses
from kselect.runs.run_log import RUNS

MARKS = (0.25, 0.5, 1.0)


def measured(run: Run, pool: Path) -> dict[tuple[str, float], float]:
    """Return every measure of a run at every mark, by (measure, mark); higher is better."""
    arrays = np.load(run.arrays(pool))
    found = {}
    for mark in MARKS:
        reward = run.marks[mark]["reward"]
        found["loss", mark] = -reward["loss"]
        found["metric", mark] = run.score(mark, "reward")
        found["calibrated-loss", mark] = -calibrated(arrays[f"logits-{mark}"], arrays["labels"])
    return found


def calibrated(logits: NDArray[np.float16], labels: NDArray[np.number]) -> float:
    """Return the mean loss after the best temperature, or the best line."""
    gold = torch.from_numpy(labels)
    rows = np.arange(len(labels))
    losses = calibrated_losses([Positions(torch.from_numpy(logits.astype(np.float32)), gold, rows)], len(labels))
    return float(losses.mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--ledger", type=Path, help="by default that of the pool")
    parser.add_argument("--points", type=float, default=3.0)
    arguments = parser.parse_args()
    groups: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for run in read_pool(arguments.ledger or arguments.pool / RUNS):
        groups[run.condition, run.seed].append(run)
    right: dict[tuple[bool, str, float], list[float]] = defaultdict(list)
    for runs in groups.values():
        values = [measured(run, arguments.pool) for run in runs]
        scores = [100 * run.score(1.0, "dev") for run in runs]
        for i, j in combinations(range(len(runs)), 2):
            if abs(scores[i] - scores[j]) > arguments.points:
                for name, mark in values[i]:
                    difference = values[i][name, mark] - values[j][name, mark]
                    agrees = 0.5 if difference == 0 else float((difference > 0) == (scores[i] > scores[j]))
                    right["noisy" in runs[0].stratum, name, mark].append(agrees)
    rows = []
    for noisy in (False, True):
        for name in REWARDS:
            if right[noisy, name, 1.0]:
                shares = [f"{np.mean(right[noisy, name, mark]):.0%}" for mark in MARKS]
                rows.append(["noisy" if noisy else "clean", name, *shares, str(len(right[noisy, name, 1.0]))])
    columns = ["labels", "measure", *(f"at {mark:g}" for mark in MARKS), "pairs"]
    print_table("Pairs ordered rightly", columns, rows)


if __name__ == "__main__":
    main()
