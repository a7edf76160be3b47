"""Tune learning rate and epochs of fine-tuning over a grid, by the reward split only.

    python studies/tune_baseline.py run --config configs/mrpc.yaml --teacher runs/mrpc-teacher/model \
        --epochs 3 6 --learning_rate 1e-4 2e-4 4e-4
    python studies/tune_baseline.py table

`run` fine-tunes the student of the configuration at every point of the grid that the ledger lacks. All other agents
use the best point, so that none of them gains by tuning. Dev is not read: a dev score that had chosen a setting could
not be reported any more.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from study_settings import print_entry, print_table, read_settings, run_main

from kselect.runs.run_log import Ledger
from kselect.stats import estimate
from kselect.training.engines import Report
from kselect.training.study import Cell, Study

LEDGER = Path("studies/results/tuning.jsonl")
KEY = ("task", "layers", "epochs", "learning_rate", "seed")


def fine_tune(options: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Fine-tune a student and evaluate it on the reward split."""
    from kselect.distillation.builders import make_distiller
    from kselect.runs.provenance import describe

    settings = read_settings(*options["words"])
    distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge)
    distiller.reset(options["seed"])
    distiller.advance([1.0], distiller.total_steps)
    report(distiller.step, distiller.total_steps)
    evaluation = distiller.evaluate("reward")
    return {
        "metrics": {**evaluation.metrics, "loss": evaluation.loss},
        "examples": evaluation.examples,
        "constant": distiller.task.constant_score("reward"),
        "seconds": distiller.account.total,
        "environment": describe(options["seed"]),
    }


def run(options: argparse.Namespace) -> None:
    """Fine-tune at every point that the ledger lacks."""
    cells = []
    for seed, layers, epochs, rate in product(
        options.seeds, options.layers or [None], options.epochs, options.learning_rate
    ):
        words = ["--config", options.config, "--teacher", options.teacher, "--knowledge", "gold", *options.settings]
        words += ["--epochs", str(epochs), "--learning_rate", str(rate)] + (["--layers", layers] if layers else [])
        settings = read_settings(*words)
        point = {"epochs": epochs, "learning_rate": rate, "seed": seed}
        identity = {"task": settings.task.task, "layers": settings.model.layers, **point}
        cells.append(Cell(identity, {"words": words, "seed": seed}))
    Study(cells, fine_tune, Ledger(options.ledger, KEY)).run(on_entry=print_entry)


def table(options: argparse.Namespace) -> None:
    """Print the ledger as Markdown, best score first."""
    entries = [entry for entry in Ledger(options.ledger, KEY).latest().values() if "error" not in entry]
    for task in dict.fromkeys(entry["task"] for entry in entries):
        of_task = [entry for entry in entries if entry["task"] == task]
        points: dict[tuple[Any, ...], list[dict[str, float]]] = {}
        for entry in of_task:
            points.setdefault((entry["layers"], entry["epochs"], entry["learning_rate"]), []).append(entry["metrics"])
        means = {point: estimate([row["score"] for row in rows]).mean for point, rows in points.items()}
        rows = [["constant prediction", "", "", f"{100 * of_task[0]['constant']['score']:.1f}", "", ""]]
        for point in sorted(points, key=means.__getitem__, reverse=True):
            loss = estimate([row["loss"] for row in points[point]]).mean
            layers, epochs, rate = point
            score = f"{100 * means[point]:.1f}"
            rows.append([str(layers), f"{epochs:g}", f"{rate:g}", score, f"{loss:.3f}", str(len(points[point]))])
        print(f"\n{task}, {of_task[0]['examples']} examples of the reward split")
        print_table(["layers", "epochs", "learning rate", "score", "cross-entropy", "seeds"], rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="other options are those of `kselect distill`")
    runs.add_argument("--config", required=True)
    runs.add_argument("--teacher", required=True)
    runs.add_argument("--layers", nargs="+", help="as of `kselect distill`; the configuration's by default")
    runs.add_argument("--epochs", nargs="+", type=float, default=[3.0, 6.0])
    runs.add_argument("--learning_rate", nargs="+", type=float, default=[1e-4, 2e-4, 4e-4])
    runs.add_argument("--seeds", nargs="+", type=int, default=[0])
    runs.set_defaults(act=run)
    commands.add_parser("table").set_defaults(act=table)
    run_main(parser, lambda options: options.act(options))


if __name__ == "__main__":
    main()
