"""Does the order of knowledge matter? Every pair of selections, one for each half of a run.

    python studies/order_of_knowledge.py run --config configs/mrpc.yaml --teacher runs/mrpc-teacher/model --seeds 0 1 2
    python studies/order_of_knowledge.py table

`run` distils a student for every pair of a selection in the first half and one in the second that the ledger lacks; any
other option of `kselect distill`, such as `--epochs 3`, counts for all.
Runs that begin alike share their first half through a snapshot, so that they differ in nothing but the second: same
batches, same dropout. A selection weighs all that it names alike.

`table` chooses a constant selection and one of two different halves by their mean score on the reward split over all
seeds but one, reads their dev scores of the seed left out, and averages the difference over the seeds. Its standard
error comes from drawing seeds and dev examples again, with replacement; the choice is not drawn again. That is one
difference of many: the gain of each selection in either half, over all in the other half, is a mean over all pairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from study_settings import print_entry, print_table, read_settings, run_main

from kselect.runs.run_log import Ledger
from kselect.stats import estimate
from kselect.training.engines import Report
from kselect.training.study import Cell, Study

if TYPE_CHECKING:
    from kselect.distillation.distiller import Distiller
    from kselect.distillation.snapshot import Snapshot
    from kselect.tasks.task import Task

LEDGER = Path("studies/results/timing.jsonl")
KEY = ("task", "first", "second", "seed", "settings")
SELECTIONS = {
    "gold": ("gold",),
    "logits": ("logits",),
    "logits + hidden": ("logits", "hidden"),
    "logits + hidden + attention": ("logits", "hidden", "attention"),
    "all": ("gold", "logits", "hidden", "attention", "relations"),
}
SPLITS = ("reward", "dev")
DRAWS = 2000

Schedule = tuple[str, str]
Runs = dict[tuple[Schedule, int], dict[str, Any]]


def run(options: argparse.Namespace) -> None:
    """Distil under every pair of selections and seed that the ledger lacks."""
    from kselect.distillation.builders import make_distiller
    from kselect.runs.provenance import describe
    from kselect.training.cells import run_settings

    words = ["--config", options.config, "--teacher", options.teacher, *options.settings]
    settings = read_settings(*words, "--knowledge", ",".join(SELECTIONS["all"]))
    distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge)
    half = distiller.total_steps // 2
    advance(distiller, "all", 1)  # fills the cache of teacher outputs, which is no run's cost

    @lru_cache(maxsize=1)
    def first_half(seed: int, first: str) -> tuple[Snapshot, float]:
        distiller.reset(seed)
        seconds = advance(distiller, first, half)
        return distiller.snapshot(), seconds

    def distil(pair: Mapping[str, Any], report: Report) -> dict[str, Any]:
        shared, first_seconds = first_half(pair["seed"], pair["first"])
        distiller.restore(shared)
        second_seconds = advance(distiller, pair["second"], distiller.total_steps - half)
        report(distiller.step, distiller.total_steps)
        predicted = {split: predictions(distiller, split) for split in SPLITS}
        return {
            **{split: scores(distiller.task, split, predicted[split]) for split in SPLITS},
            "predictions": predicted["dev"],
            "cpu_seconds": [first_seconds, second_seconds],
            "constant": distiller.task.constant_score("dev"),
            "environment": describe(pair["seed"]),
        }

    cells = []
    for seed, first, second in product(options.seeds, SELECTIONS, SELECTIONS):
        pair = {"first": first, "second": second, "seed": seed}
        cells.append(Cell({"task": distiller.task.name, **pair, "settings": run_settings(settings)}, pair))
    Study(cells, distil, Ledger(options.ledger, KEY)).run(on_entry=print_entry)


def advance(distiller: Distiller, selection: str, steps: int) -> float:
    """Train under one of `SELECTIONS`, and return processor seconds, which other processes hardly change."""
    start = time.process_time()
    distiller.advance([float(name in SELECTIONS[selection]) for name in distiller.names], steps)
    return time.process_time() - start


def predictions(distiller: Distiller, split: str) -> list[float]:
    """Return the student's predictions on a split, in its order."""
    from kselect.distillation.evaluation import predict
    from kselect.tasks.encoding import encode
    from kselect.tasks.task import TextTask

    encoded = encode(distiller.task.splits[split], distiller.student.tokenizer, distiller.max_length)
    logits = predict(distiller.student, encoded, np.arange(len(encoded)), 64, distiller.dtype, keep_logits=True).logits
    assert logits is not None
    task = distiller.task
    assert isinstance(task, TextTask)
    return [round(value, 4) for value in task.predict(logits.numpy()).tolist()]


def scores(task: Task, split: str, predicted: list[float]) -> dict[str, float]:
    """Return the task's metrics of predictions on a split."""
    from kselect.tasks.task import TextTask

    assert isinstance(task, TextTask)
    return task.score(np.array(predicted), np.array(task.splits[split].labels))


def table(options: argparse.Namespace) -> None:
    """Print, task by task, all pairs with their costs, and the gain of two different halves over one selection."""
    entries = [entry for entry in Ledger(options.ledger, KEY).latest().values() if "error" not in entry]
    for task in dict.fromkeys(entry["task"] for entry in entries):
        of_task = [entry for entry in entries if entry["task"] == task]
        runs: Runs = {((entry["first"], entry["second"]), entry["seed"]): entry for entry in of_task}
        whole = [seed for seed in sorted({seed for _, seed in runs}) if len(of(runs, seed)) == len(SELECTIONS) ** 2]
        if not whole:
            print(f"\n{task}: no seed is finished")
            continue
        print_pairs(task, runs, whole)
        if len(whole) > 1:
            print_halves(task, runs, whole)
            print_difference(task, runs, whole, options.data_dir)


def of(runs: Runs, seed: int) -> Runs:
    """Return the runs of one seed."""
    return {key: entry for key, entry in runs.items() if key[1] == seed}


def print_pairs(task: str, runs: Runs, seeds: list[int]) -> None:
    """Print dev scores, first halves down and second halves across, and below what each pair costs."""

    def show(title: str, cell: Callable[[Schedule], str]) -> None:
        print(f"\n{title}")
        rows = [[first, *(cell((first, second)) for second in SELECTIONS)] for first in SELECTIONS]
        print_table(["first half", *SELECTIONS], rows)

    def spread(pair: Schedule) -> str:
        value = estimate([100 * runs[pair, seed]["dev"]["score"] for seed in seeds])
        return f"{value.mean:.1f} ± {value.sd:.1f}"

    def cost(pair: Schedule) -> str:
        spent = [[sum(runs[each, seed]["cpu_seconds"]) for seed in seeds] for each in (pair, ("gold", "gold"))]
        share = estimate([own / plain for own, plain in zip(*spent, strict=True)])
        return f"{share.mean:.2f} ± {share.se:.2f}"

    constant = next(iter(runs.values()))["constant"]["score"]
    counts = f"{len(seeds)} seeds, constant prediction {100 * constant:.1f}"
    show(f"**{task}**, score on dev, second half across ({counts})", spread)
    show(f"**{task}**, processor time relative to gold throughout, with its standard error", cost)


def print_halves(task: str, runs: Runs, seeds: list[int]) -> None:
    """Print by how much a selection in one half lifts the mean over all in the other, with the standard error."""
    count = len(SELECTIONS)
    pairs = list(product(SELECTIONS, SELECTIONS))  # those of one first half follow each other
    dev = np.array([[100 * runs[pair, seed]["dev"]["score"] for pair in pairs] for seed in seeds])
    grid = dev.reshape(len(seeds), count, count)
    grid = grid - grid.mean(axis=(1, 2), keepdims=True)
    rows = []
    for half, other in (("first", 2), ("second", 1)):
        lifts = [estimate(column) for column in grid.mean(axis=other).T]
        rows.append([f"in the {half} half", *(f"{lift.mean:+.1f} ± {lift.se:.1f}" for lift in lifts)])
    print(f"\n**{task}**, gain of a selection in one half, over all in the other, from the mean of all pairs")
    print_table(["", *SELECTIONS], rows)


def print_difference(task: str, runs: Runs, seeds: list[int], data_dir: str | None) -> None:
    """Print what is chosen on the reward split of all seeds but one scores on dev of the one left out."""
    from kselect.config import TaskConfig
    from kselect.tasks.registry import make_task
    from kselect.tasks.task import TextTask

    settings = next(iter(runs.values()))["settings"]
    given = {field.name: settings[field.name] for field in fields(TaskConfig) if field.name in settings}
    loaded = make_task(TaskConfig(**given, data_dir=data_dir))
    assert isinstance(loaded, TextTask)
    constant = [(name, name) for name in SELECTIONS]
    pieces = [pair for pair in product(SELECTIONS, SELECTIONS) if pair not in constant]

    def best(pairs: list[Schedule], by: list[int]) -> Schedule:
        return max(pairs, key=lambda pair: statistics.mean(runs[pair, seed]["reward"]["score"] for seed in by))

    chosen, rows = {}, []
    for seed in seeds:
        others = [other for other in seeds if other != seed]
        chosen[seed] = (best(constant, others), best(pieces, others))
        one, two = (100 * runs[pair, seed]["dev"]["score"] for pair in chosen[seed])
        names = [chosen[seed][0][0], " → ".join(chosen[seed][1])]
        rows.append([str(seed), names[0], f"{one:.1f}", names[1], f"{two:.1f}", f"{two - one:+.1f}"])
    print(f"\n**{task}**, chosen on the reward split of the other seeds, scored on dev")
    print_table(["seed", "best of one selection", "score", "best of two", "score", "difference"], rows)

    gold = np.array(loaded.splits["dev"].labels)

    @cache
    def predicted(pair: Schedule, seed: int) -> np.ndarray:
        return np.array(runs[pair, seed]["predictions"])

    def difference(seed: int, drawn: np.ndarray) -> float:
        one, two = (loaded.score(predicted(pair, seed)[drawn], gold[drawn])["score"] for pair in chosen[seed])
        return 100 * (two - one)

    generator = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        drawn = generator.integers(len(gold), size=len(gold))
        draws.append(statistics.mean(difference(seed, drawn) for seed in generator.choice(seeds, len(seeds))))
    mean = statistics.mean(difference(seed, np.arange(len(gold))) for seed in seeds)
    print(f"\nTwo pieces against one: {mean:+.1f}, standard error {statistics.stdev(draws):.1f}.")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--config", required=True)
    runs.add_argument("--teacher", required=True)
    runs.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runs.set_defaults(act=run)
    tables = commands.add_parser("table")
    tables.add_argument("--data_dir", help="as of `kselect distill`; read for dev's labels")
    tables.set_defaults(act=table)
    run_main(parser, lambda options: options.act(options))


if __name__ == "__main__":
    main()
