"""A whole run of the same distillation by other libraries: same losses, batch and rate.

    python benchmarks/peers.py --teacher runs/mrpc-teacher/model [--rounds 5] [--epochs 3] [--train_limit 320]
    python benchmarks/peers.py --teacher runs/mrpc-teacher/model --heat default --train_limit 917 --json FILE

A 3-layer student of a BERT-like teacher under gold labels, logits and hidden states, by kselect, by TextBrewer, by
torchdistill and by transformers' Trainer: at equal settings, that is with kselect's own batches, padding, optimiser and
precision, and by default, as each library's own example does it (see libraries.py). These are two heats, which `--heat`
tells apart, and kselect runs in both. A round of a heat has one run by each, in one process, every other round
backwards; round i has seed i for everyone, so the rounds are also the seeds of the scores on dev, which are told as
mean ± standard deviation. Rounds take hours, so each finished one is a line of a ledger, from which a stopped
comparison goes on. Seconds are those of training: loading, tokenising and scoring are in nobody's. kselect's first run
computes the teacher's outputs, and is what the bars are on; its later runs find them. `--encoder` takes the place of a
teacher where only speed is looked at: its head is random, and the scores mean nothing. A library that is not installed
is a row that says so: see requirements.txt.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import operators  # noqa: F401  # first: what follows imports transformers

# isort: split
import torch
from libraries import PEERS, Run, first_run, kselect_run, live_run, version
from measure import CLOCKS, machine, ratios, read_options, report, spread
from race import Race
from transformers.utils.logging import disable_progress_bar

from kselect.config import TrainingConfig
from kselect.models.loading import load_classifier, load_encoder
from kselect.runs.run_log import Ledger
from kselect.tasks.registry import load_task

FIRST, LATER, LIVE = "kselect, first run", "kselect, later runs", "kselect, live teacher"
BARS = {"equal settings": 1.15, "by default": 2.0}
HEATS = {"both": tuple(BARS), "equal": ("equal settings",), "default": ("by default",)}
LEDGER = Path("benchmarks/results/peers.jsonl")
KEY = ("settings", "heat", "round")

Rounds = list[dict[str, Any]]


def main() -> None:
    """Run the rounds that the ledger lacks, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "peers",
        task=("mrpc", "mrpc", "what is learned"),
        teacher=("", "", "folder of a fine-tuned classifier"),
        encoder=("", "", "folder of an encoder, where there is no teacher"),
        epochs=(3, 1, "passes over train"),
        train_limit=(0, 96, "use only so many examples of train, and of dev; 0 is all"),
        batch_size=(32, 32, "examples of a training step"),
        learning_rate=(2e-4, 2e-4, "peak learning rate"),
        precision=("auto", "auto", "of forward passes, for all at equal settings: auto, bf16 or fp32"),
        heat=("both", "both", "equal settings, as each comes by default, or both: equal, default or both"),
        rounds=(5, 1, "runs of each library in each heat, and seeds"),
    )
    if not (options.teacher or options.encoder):
        raise SystemExit("peers.py needs --teacher, a fine-tuned classifier, or for speed alone --encoder.")
    if options.heat not in HEATS:
        raise SystemExit(f"peers.py knows no heat '{options.heat}'; there are {', '.join(HEATS)}.")
    warnings.filterwarnings("ignore")
    disable_progress_bar()
    race = make_race(options)
    settings = {name: getattr(options, name) for name in ("task", "epochs", "train_limit", "batch_size")}
    settings |= {"learning_rate": options.learning_rate, "dtype": str(race.dtype), "clock": options.clock}
    settings |= {"threads": torch.get_num_threads(), "peers": {name: version(PEERS[name][0]) for name in PEERS}}
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "peers.jsonl" if options.json is None else LEDGER, KEY)
        for number in range(options.rounds):
            for heat in HEATS[options.heat]:
                entry = {"settings": settings, "heat": heat, "round": number}
                if not ledger.holds(entry):
                    ledger.append(entry | run_round(race, heat, number) | {"machine": machine()})
        finished = [entry for entry in ledger.entries() if entry["settings"] == settings]
    tell(options, race, finished)


def make_race(options: argparse.Namespace) -> Race:
    """Load the task and the teacher, and set up what all libraries are given."""
    task = load_task(options.task, train_limit=options.train_limit or None)
    teacher = load_classifier(options.teacher, task) if options.teacher else load_encoder(options.encoder, task)
    training = TrainingConfig(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        precision=options.precision,
    )
    return Race(task, teacher, training, max_length=128, clock=CLOCKS[options.clock])


def run_round(race: Race, heat: str, number: int) -> dict[str, dict[str, float]]:
    """Run everyone once under the seed `number`; returns seconds and scores by name."""
    runs: dict[str, partial[Run]] = {FIRST: partial(first_run, race)}
    default = heat == "by default"
    if not default:
        kept = race.distiller()
        kselect_run(race, number, kept, steps=1)  # the later runs' outputs of the teacher
        runs |= {LATER: partial(kselect_run, race, distiller=kept), LIVE: partial(live_run, race)}
    runs |= {name: partial(run, race, default=default) for name, (dist, run) in PEERS.items() if version(dist)}
    seconds, scores = {}, {}
    for name in runs if number % 2 == 0 else reversed(runs):
        seconds[name], student = runs[name](seed=number)
        scores[name] = race.score(student)
        print(f"{heat}, round {number}: {name} {seconds[name]:.1f} s, {100 * scores[name]:.1f}", flush=True)
    return {"seconds": seconds, "scores": scores}


def tell(options: argparse.Namespace, race: Race, finished: Rounds) -> None:
    """Print and write what the rounds of both heats say."""
    rows, data = [], {}
    for heat in HEATS[options.heat]:
        bar = BARS[heat]
        rounds = [entry for entry in finished if entry["heat"] == heat]
        ours = (FIRST,) if heat == "by default" else (FIRST, LATER, LIVE)
        for name in (*ours, *PEERS):
            seconds = {run: [entry["seconds"][run] for entry in rounds] for run in rounds[0]["seconds"]}
            label = f"{name}, {heat}"
            if name not in seconds:
                rows.append([f"{label} is not installed", "", "", "", ""])
                continue
            scores = [entry["scores"][name] for entry in rounds]
            slower = ratios(seconds, name, FIRST)
            cells = [f"{statistics.median(seconds[name]):.1f}", spread(slower, 2)]
            rows.append([label, *cells, f">= {bar:g}" if name in PEERS else "", _score(scores)])
            data[label] = {"seconds": seconds[name], "scores": scores, "to_kselect": slower}
    title = f"{options.epochs} epochs of {options.task}, {len(race.train)} examples, {race.total_steps} steps"
    columns = ["run", "seconds", f"/ {FIRST}", "bar", "score on dev"]
    setup = {"settings": finished[0]["settings"], "constant": race.task.constant_score()["score"]}
    report(options, title, columns, rows, data, **setup)


def _score(values: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
