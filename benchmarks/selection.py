"""Does selecting help? Students under each agent over several seeds, appended to a ledger and set in a table.

    python benchmarks/selection.py run --config configs/mrpc.yaml --teacher runs/mrpc-teacher/model \
        --agents fine-tune vanilla-kd all random-hard learned=runs/mrpc-policy/policy --seeds 0 1 2
    python benchmarks/selection.py table

An agent is a name, a policy's folder, or weights that stay fixed, such as gold:1,latent-trees:0.5; LABEL=AGENT sets
another label. `run` does what `kselect distill` does for every agent and seed that the ledger lacks, so a stopped
study goes on where it was; any other option of `kselect distill`, such as `--epochs 3`, counts for all. A seed is of
the order of the data, of dropout, of what agents draw, and of the student's head where it is fresh. The teacher's
outputs are computed once for all that read the same, and are left out of the costs. `table` prints mean and standard
deviation over the seeds, in Markdown; "deciding" is all that an agent costs, measuring rewards included. With
`--against LABEL` there is a column of the score less that agent's under the same seed, mean and standard error.
`--ledger` names another file of runs, for another study.
"""

from __future__ import annotations

import argparse
import json
import statistics
from itertools import product
from pathlib import Path
from typing import Any

from ledger import Ledger, recorded, with_one_line

from kselect.errors import unknown

LEDGER = Path("benchmarks/results/selection.jsonl")
DECIDING = ("reward", "deciding", "updating")
OF_AGENTS = ("knowledge", "parser", "weighting", "temperature", "layer_map", "layer_maps", "relation_heads", "scales")
KEY = ("task", "label", "seed", "settings")


def run(options: argparse.Namespace) -> None:
    """Distil what the ledger lacks, agent by agent, with one set of teacher outputs for those that read the same."""
    from kselect.cli.command import Command
    from kselect.distillation.builders import make_distiller
    from kselect.recipes.policies import build_policy
    from kselect.runs.provenance import describe
    from kselect.training.api import rollout
    from kselect.training.results import summarise_run

    command, ledger = Command("kselect.cli.distill"), Ledger(options.ledger, KEY)
    wanted: dict[str, list[tuple[str, Any]]] = {}
    for spec in options.agents:
        label, _, name = spec.rpartition("=")
        given = ["--config", options.config, "--teacher", options.teacher, *options.settings]
        settings: Any = command.settings([*given, "--agent", name])
        wanted.setdefault(str(settings.knowledge), []).append((label or name, settings))
    for group, seed in product(wanted.values(), options.seeds):
        settings = group[0][1]
        distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge, seed)
        for label, settings in group:
            agent = settings.agent
            entry = {"task": distiller.task.name, "label": label, "agent": agent.agent, "seed": seed}
            entry["settings"] = recorded(settings.to_dict() | {"knowledge": list(distiller.names)})
            if ledger.holds(entry):
                continue
            setup = build_policy(agent, distiller, settings.phases, seed)
            result = rollout(setup.agent, setup.env, seed=seed, learning=setup.learning)
            entry |= summarise_run(result, distiller.task, seed=seed)
            entry |= {"seconds": result.seconds, "teacher": options.teacher, "environment": describe(seed)}
            ledger.append(entry)
            print(f"{distiller.task.name} seed {seed} {label}: {result.metrics}", flush=True)


def table(options: argparse.Namespace) -> None:
    """Print the ledger as Markdown."""
    entries = Ledger(options.ledger, KEY).entries()
    labels = list(dict.fromkeys(entry["label"] for entry in entries))
    if options.against not in (None, *labels):
        raise unknown("label", options.against, labels)
    for task in dict.fromkeys(entry["task"] for entry in entries):
        of_task = [entry for entry in entries if entry["task"] == task]
        if len({json.dumps(shared_settings(entry), sort_keys=True) for entry in of_task}) > 1:
            raise SystemExit(f"{options.ledger} holds runs on {task} under different settings: keep one kind of them.")
        labels = list(dict.fromkeys(entry["label"] for entry in of_task))
        metrics = columns(of_task)
        less = [f"score less {options.against}'s"] if options.against in labels else []
        print(f"\n{task}, {of_task[0]['examples']} examples of dev\n")
        print("| " + " | ".join(["agent", *metrics, *less, "seeds", "student", "deciding"]) + " |")
        print("|---" * (len(metrics) + len(less) + 4) + "|")
        constant = [f"{100 * of_task[0]['constant'][name]:.1f}" for name in metrics]
        print("| " + " | ".join(["constant prediction", *constant]) + " | |" + " |" * (len(less) + 2))
        for label in labels:
            rows = [entry for entry in of_task if entry["label"] == label]
            cells = [spread([100 * entry["metrics"][name] for entry in rows]) for name in metrics]
            student = statistics.mean(entry["seconds"]["student"] for entry in rows)
            deciding = statistics.mean(sum(entry["seconds"][part] for part in DECIDING) for entry in rows)
            if less:
                cells.append(difference(rows, [entry for entry in of_task if entry["label"] == options.against]))
            cells += [str(len(rows)), f"{student:.0f} s", f"{deciding:.1f} s"]
            print(f"| {label} | " + " | ".join(cells) + " |")


def shared_settings(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that all agents must have in common: those that no recipe, policy or parser brings.

    One that is None may be younger than other entries.
    """
    return {name: value for name, value in entry["settings"].items() if name not in OF_AGENTS and value is not None}


def columns(entries: list[dict[str, Any]]) -> list[str]:
    """Return the metrics, without the score where it is one of them, and not a mean of several."""
    metrics = list(entries[0]["constant"])
    others = [name for name in metrics if name != "score"]
    is_copy = any(all(entry["metrics"][name] == entry["metrics"]["score"] for entry in entries) for name in others)
    return others if is_copy else metrics


def difference(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """Return the score less that of others under the same seed, mean ± standard error; nothing of them themselves."""
    scores = {entry["seed"]: entry["metrics"]["score"] for entry in others}
    found = [100 * (entry["metrics"]["score"] - scores[entry["seed"]]) for entry in rows if entry["seed"] in scores]
    if rows == others or len(found) < 2:
        return ""
    return f"{statistics.mean(found):+.1f} ± {statistics.stdev(found) / len(found) ** 0.5:.1f}"


def spread(values: list[float]) -> str:
    """Return mean ± standard deviation."""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else float('nan'):.1f}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--config", required=True)
    runs.add_argument("--teacher", required=True)
    runs.add_argument("--agents", nargs="+", required=True, help="names, policy folders or weights; LABEL=...")
    runs.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runs.set_defaults(act=run)
    rows = commands.add_parser("table")
    rows.add_argument("--against", metavar="LABEL", help="an agent, that the others are compared with seed by seed")
    rows.set_defaults(act=table)
    options, options.settings = parser.parse_known_args()
    if options.settings and options.act is not run:
        parser.error(f"unrecognized arguments: {' '.join(options.settings)}")
    with_one_line(lambda: options.act(options))


if __name__ == "__main__":
    main()
