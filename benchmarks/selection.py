"""Does selecting help? Students under each agent over several seeds, appended to a ledger and set in a table.

    python benchmarks/selection.py run --config configs/mrpc.yaml --teacher runs/mrpc-teacher/model \
        --agents fine-tune vanilla-kd all random-hard learned=runs/mrpc-policy/policy --seeds 0 1 2
    python benchmarks/selection.py table

`run` distils with `kselect distill` for every agent and seed that the ledger lacks, so a stopped study goes on where it
was. `table` prints mean and standard deviation over the seeds, in Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

LEDGER = Path("benchmarks/results/selection.jsonl")
DECIDING = ("probing", "reward", "deciding", "updating")


def read_ledger() -> list[dict[str, Any]]:
    """Return all finished runs."""
    return [json.loads(line) for line in LEDGER.read_text().splitlines()] if LEDGER.exists() else []


def run(options: argparse.Namespace) -> None:
    """Distil what the ledger lacks."""
    from kselect.cli import distill
    from kselect.cli.command import Command, flatten
    from kselect.study.atomic import read_json

    command = Command("kselect.cli.distill")
    for seed in options.seeds:
        for spec in options.agents:
            label, _, agent = spec.rpartition("=")
            label = label or agent
            words = ["--config", options.config, "--teacher", options.teacher, "--agent", agent, "--seed", str(seed)]
            settings = command.settings(words)
            assert settings is not None
            done = {(entry["task"], entry["label"], entry["seed"]) for entry in read_ledger()}
            if (settings.task.task, label, seed) in done:
                continue
            results = read_json(distill.run(settings) / "results.json")
            kept = {key: results[key] for key in ("task", "seed", "metrics", "examples", "constant", "seconds", "cost")}
            chosen = {name: value for name, value in flatten(settings).items() if name not in ("runs_dir", "teacher")}
            entry = {"label": label, **kept, "history": results["history"], "settings": chosen}
            LEDGER.parent.mkdir(parents=True, exist_ok=True)
            with LEDGER.open("a") as file:
                file.write(json.dumps(entry) + "\n")


def table(options: argparse.Namespace) -> None:
    """Print the ledger as Markdown."""
    entries = read_ledger()
    for task in dict.fromkeys(entry["task"] for entry in entries):
        of_task = [entry for entry in entries if entry["task"] == task]
        metrics = list(of_task[0]["constant"])
        print(f"\n{task}, {of_task[0]['examples']} examples of dev\n")
        print("| agent | " + " | ".join(metrics) + " | seeds | seconds | of these deciding |")
        print("|---" * (len(metrics) + 4) + "|")
        constant = of_task[0]["constant"]
        print("| constant prediction | " + " | ".join(f"{100 * constant[name]:.1f}" for name in metrics) + " | | | |")
        for label in dict.fromkeys(entry["label"] for entry in of_task):
            rows = [entry for entry in of_task if entry["label"] == label]
            cells = [spread([100 * entry["metrics"][name] for entry in rows]) for name in metrics]
            deciding = statistics.mean(sum(entry["cost"][part] for part in DECIDING) for entry in rows)
            seconds = statistics.mean(entry["seconds"] for entry in rows)
            print(f"| {label} | " + " | ".join(cells) + f" | {len(rows)} | {seconds:.0f} | {100 * deciding:.1f} % |")


def spread(values: list[float]) -> str:
    """Return mean ± standard deviation."""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else float('nan'):.1f}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--config", required=True)
    runs.add_argument("--teacher", required=True)
    runs.add_argument("--agents", nargs="+", required=True, help="names, or label=policy-folder")
    runs.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runs.set_defaults(act=run)
    commands.add_parser("table").set_defaults(act=table)
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
