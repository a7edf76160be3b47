"""A whole run of the same distillation by other libraries: same losses, batch and rate.

    python benchmarks/peers.py --teacher runs/mrpc-teacher/model [--rounds 5] [--epochs 3] [--train_limit 320]

A 3-layer student of a BERT-like teacher under gold labels, logits and hidden states, by kselect, by TextBrewer, by
torchdistill and by transformers' Trainer: with kselect's own batches, padding, optimiser and precision, and again as
each library's own example does it (see libraries.py). Runs take turns; round i has seed i for everyone, so the rounds
are also the seeds of the scores on dev, which are told as mean ± standard deviation. Seconds are those of training:
loading, tokenising and scoring are in nobody's. kselect's first run computes the teacher's outputs, and is what the
bars are on; its later runs find them. `--encoder` takes the place of a teacher where only speed is looked at: its head
is random, and the scores mean nothing. A library that is not installed is a row that says so: see requirements.txt.
"""

from __future__ import annotations

import statistics
import warnings
from functools import partial

import operators  # noqa: F401  # first: what follows imports transformers

# isort: split
from libraries import PEERS, Run, first_run, kselect_run, live_run, version
from measure import CLOCKS, Case, ratios, read_options, report, spread, take_turns
from race import Race
from transformers.utils.logging import disable_progress_bar

from kselect.config import TrainingConfig
from kselect.models.classifier import load_classifier, load_encoder
from kselect.tasks.registry import load_task

FIRST, LATER, LIVE = "kselect, first run", "kselect, later runs", "kselect, live teacher"
OURS = (FIRST, LATER, LIVE)
BARS = {False: 1.15, True: 2.0}


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
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
        rounds=(5, 1, "runs of each library, and seeds"),
    )
    if not (options.teacher or options.encoder):
        raise SystemExit("peers.py needs --teacher, a fine-tuned classifier, or for speed alone --encoder.")
    warnings.filterwarnings("ignore")
    disable_progress_bar()
    task = load_task(options.task, train_limit=options.train_limit or None)
    teacher = load_classifier(options.teacher, task) if options.teacher else load_encoder(options.encoder, task)
    training = TrainingConfig(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        precision=options.precision,
    )
    race = Race(task, teacher, training, max_length=128, clock=CLOCKS[options.clock])
    kept = race.distiller()

    scores: dict[str, list[float]] = {}

    def timed(name: str, run: partial[Run]) -> float:
        seconds, student = run(seed=len(scores.setdefault(name, [])))
        scores[name].append(race.score(student))
        return seconds

    runs: dict[str, partial[Run]] = {
        FIRST: partial(first_run, race),
        LATER: partial(kselect_run, race, distiller=kept),
        LIVE: partial(live_run, race),
    }
    installed = {name: version(distribution) for name, (distribution, _) in PEERS.items()}
    for default in (False, True):
        for name, (_, run) in PEERS.items():
            if installed[name]:
                runs[_label(name, default)] = partial(run, race, default=default)
    cases: dict[str, Case] = {name: partial(timed, name, run) for name, run in runs.items()}
    kselect_run(race, 0, kept)  # the later runs' outputs of the teacher, and a warm-up
    seconds = take_turns(cases, options.rounds, warm_up=False)

    rows = [[name, _seconds(seconds[name]), "1.00" if name == FIRST else "", "", _score(scores[name])] for name in OURS]
    data: dict[str, object] = {name: {"seconds": seconds[name], "scores": scores[name]} for name in runs}
    for default in (False, True):
        for name in PEERS:
            label = _label(name, default)
            if label not in runs:
                rows.append([f"{label} is not installed", "", "", "", ""])
                continue
            slower = ratios(seconds, label, FIRST)
            data[label] = {"seconds": seconds[label], "scores": scores[label], "to_kselect": slower}
            cells = [_seconds(seconds[label]), spread(slower, 2), f">= {BARS[default]:g}", _score(scores[label])]
            rows.append([label, *cells])
    title = f"{options.epochs} epochs of {options.task}, {len(race.train)} examples, {race.total_steps} steps"
    columns = ["run", "seconds", f"/ {FIRST}", "bar", "score on dev"]
    setup = {"dtype": str(race.dtype), "peers": installed, "constant": task.constant_score()["score"]}
    report(options, title, columns, rows, data, **setup)


def _label(name: str, default: bool) -> str:
    return f"{name}, by default" if default else f"{name}, equal settings"


def _seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.1f}"


def _score(values: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
