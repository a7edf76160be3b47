"""Which rate, how many epochs? Fine-tuned students over a grid, judged on the reward split alone.

    python benchmarks/tuning.py run --config configs/mrpc.yaml --teacher runs/mrpc-teacher/model \
        --epochs 3 6 --learning_rate 1e-4 2e-4 4e-4
    python benchmarks/tuning.py table

`run` fine-tunes the student of the configuration on gold labels at every point of the grid that the ledger lacks. What
suits fine-tuning is then given to every other agent, so that none of them gains by tuning. Dev is not looked at: a dev
score that had chosen a setting could not be reported any more.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import product
from pathlib import Path

from ledger import Ledger, with_one_line

LEDGER = Ledger(Path("benchmarks/results/tuning.jsonl"), key=("task", "layers", "epochs", "learning_rate", "seed"))


def run(options: argparse.Namespace) -> None:
    """Fine-tune at every point that the ledger lacks."""
    from kselect.cli.commands import COMMANDS
    from kselect.distillation.builders import make_distiller
    from kselect.runs.provenance import describe

    grid = product(options.seeds, options.layers or [None], options.epochs, options.learning_rate)
    for seed, layers, epochs, rate in grid:
        words = ["--config", options.config, "--teacher", options.teacher, "--knowledge", "gold"]
        words += ["--epochs", str(epochs), "--learning_rate", str(rate)] + (["--layers", layers] if layers else [])
        settings = COMMANDS["distill"].settings(words)
        assert settings is not None
        entry = {"task": settings.task.task, "layers": settings.model.layers, "epochs": epochs}
        entry |= {"learning_rate": rate, "seed": seed}
        if LEDGER.holds(entry):
            continue
        distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge)
        distiller.reset(seed)
        distiller.advance([1.0], distiller.total_steps)
        evaluation = distiller.evaluate("reward")
        entry |= {"metrics": {**evaluation.metrics, "loss": evaluation.loss}, "examples": evaluation.examples}
        entry |= {"constant": distiller.task.constant_score("reward"), "seconds": distiller.account.total}
        LEDGER.append(entry | {"environment": describe(seed)})
        print({name: entry[name] for name in LEDGER.key}, entry["metrics"], flush=True)


def table(options: argparse.Namespace) -> None:
    """Print the ledger as Markdown, best score first."""
    entries = LEDGER.entries()
    for task in dict.fromkeys(entry["task"] for entry in entries):
        of_task = [entry for entry in entries if entry["task"] == task]
        print(f"\n{task}, {of_task[0]['examples']} examples of the reward split\n")
        print("| layers | epochs | learning rate | score | cross-entropy | seeds |\n|---|---|---|---|---|---|")
        print(f"| constant prediction | | | {100 * of_task[0]['constant']['score']:.1f} | | |")
        points: dict[tuple[str, float, float], list[dict[str, float]]] = {}
        for entry in of_task:
            point = (str(entry["layers"]), entry["epochs"], entry["learning_rate"])
            points.setdefault(point, []).append(entry["metrics"])
        means = {point: statistics.mean(row["score"] for row in rows) for point, rows in points.items()}
        for point in sorted(points, key=means.__getitem__, reverse=True):
            loss = statistics.mean(row["loss"] for row in points[point])
            layers, epochs, rate = point
            print(
                f"| {layers} | {epochs:g} | {rate:g} | {100 * means[point]:.1f} | {loss:.3f} | {len(points[point])} |"
            )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--config", required=True)
    runs.add_argument("--teacher", required=True)
    runs.add_argument("--layers", nargs="+", help="as of `kselect distill`; the configuration's by default")
    runs.add_argument("--epochs", nargs="+", type=float, default=[3.0, 6.0])
    runs.add_argument("--learning_rate", nargs="+", type=float, default=[1e-4, 2e-4, 4e-4])
    runs.add_argument("--seeds", nargs="+", type=int, default=[0])
    runs.set_defaults(act=run)
    commands.add_parser("table").set_defaults(act=table)
    options = parser.parse_args()
    with_one_line(lambda: options.act(options))


if __name__ == "__main__":
    main()
