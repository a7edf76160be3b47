"""How far the gain of a run, as rewards measure it, rises above its own error.

    python studies/reward_signal.py run --config configs/mrpc.yaml --teacher runs/mrpc-teacher/model --seeds 0 1 2 3
    python studies/reward_signal.py table

`run` distils the student of the configuration under equal weights of all knowledge on offer, and measures it before
the first and after the last step by every measure of rewards: on as many examples of the reward split as were the
default when rewards cost a twentieth of the training, on today's default, and on all. Dev is not read.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from study_settings import print_entry, print_table, read_settings, run_main

from kselect.runs.run_log import Ledger
from kselect.stats import estimate
from kselect.training.engines import Report
from kselect.training.study import Cell, Study

LEDGER = Path("studies/results/reward-signal.jsonl")
KEY = ("task", "layers", "epochs", "learning_rate", "train_limit", "seed")


def former_examples(total_steps: int, batch_size: int) -> int:
    """Return the former default: what let twelve measurements cost a twentieth of the training."""
    return max(batch_size, round(0.05 * 3 * total_steps * batch_size / 12))


def measure_run(options: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Train a student, and return what it gained by each measure on each number of examples."""
    from kselect.distillation.builders import make_distiller
    from kselect.distillation.reward import gain, measures
    from kselect.envs.phases import SCHEDULERS
    from kselect.runs.provenance import describe

    settings = read_settings(*options["words"])
    distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge)
    split, batch_size = len(distiller.task.splits["reward"]), settings.training.batch_size
    default = SCHEDULERS[settings.phases.phases](settings.phases, distiller.total_steps).reward_examples(batch_size)
    counts = {"former default": former_examples(distiller.total_steps, batch_size), "default": default, "all": split}
    distiller.reset(options["seed"])
    before = {name: measures(distiller, "reward", count) for name, count in counts.items()}
    distiller.advance(np.ones(len(distiller.names)), distiller.total_steps)
    report(distiller.step, distiller.total_steps)
    after = {name: measures(distiller, "reward", count) for name, count in counts.items()}
    return {
        "steps": distiller.total_steps,
        "examples": {name: min(count, split) for name, count in counts.items()},
        "gains": {
            name: {measure: gain(before[name][measure], after[name][measure])._asdict() for measure in before[name]}
            for name in counts
        },
        "environment": describe(options["seed"]),
    }


def run(options: argparse.Namespace) -> None:
    """Measure the runs that the ledger lacks."""
    cells = []
    for seed in options.seeds:
        words = ["--config", options.config, "--teacher", options.teacher, *options.settings]
        settings = read_settings(*words)
        about = {name: getattr(settings.training, name) for name in ("epochs", "learning_rate")}
        about |= {"layers": settings.model.layers, "train_limit": settings.task.train_limit, "seed": seed}
        cells.append(Cell({"task": settings.task.task, **about}, {"words": words, "seed": seed}))
    Study(cells, measure_run, Ledger(options.ledger, KEY)).run(on_entry=print_entry)


def table(options: argparse.Namespace) -> None:
    """Print gains, their errors over the gain on all examples, and how many examples would make that a fifth."""
    entries = [entry for entry in Ledger(options.ledger, KEY).latest().values() if "error" not in entry]
    rows = []
    for about in dict.fromkeys(tuple(entry[name] for name in KEY[:-1]) for entry in entries):
        of_task = [entry for entry in entries if tuple(entry[name] for name in KEY[:-1]) == about]
        for name, count in of_task[0]["examples"].items():
            for measure in of_task[0]["gains"][name]:
                found = [entry["gains"][name][measure] for entry in of_task]
                gains = estimate([each["value"] for each in found])
                best = estimate([entry["gains"]["all"][measure]["value"] for entry in of_task])
                error = float(np.sqrt(np.mean([each["se"] ** 2 for each in found])))
                ratio = abs(error / best.mean)
                shown = [about[0], f"{of_task[0]['steps']}", measure, f"{name} ({count})", f"{gains.mean:+.3f}"]
                rows.append(
                    [*shown, f"{error:.3f}", f"{ratio:.2f}", f"{count * (5 * ratio) ** 2:.0f}", f"{len(found)}"]
                )
    columns = ["task", "steps", "measure", "examples", "gain of a run", "its error", "error / gain", "needed for 1/5"]
    print_table([*columns, "seeds"], rows)


def main() -> None:
    """Run or table the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure the runs that are missing; other options are those of `distill`")
    runner.add_argument("--config", required=True)
    runner.add_argument("--teacher", required=True)
    runner.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3])
    commands.add_parser("table", help="print the ledger as Markdown")
    for command in commands.choices.values():
        command.add_argument("--ledger", type=Path, default=LEDGER)
    run_main(parser, lambda options: {"run": run, "table": table}[options.command](options))


if __name__ == "__main__":
    main()
