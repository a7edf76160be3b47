"""What it costs to record a run, example by example.

    python benchmarks/recording.py [--steps 8] [--hidden_size 384] [--tokens 64] [--rounds 9]

A phase of training steps that an `ExampleRecorder` looks on at, the rows brought to the host and written to disk as a
recorded run does at the end of a phase, against the same phase from the same snapshot without it: under gold labels,
gold labels and logits, everything on offer by default, and logits with what must be told from its own derivative. A
6-layer teacher whose outputs are cached and its 3-layer student (BERT, heads of 32, random weights), batches of 32.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from measure import CLOCKS, Case, ratios, read_options, report, spread, take_turns, wait
from pair import BATCH, HEAD, make_distiller, make_task, make_teacher, select

from kselect.analysis.recording.callback import ExampleRecorder
from kselect.analysis.recording.table import histograms, scalars
from kselect.config import DEFAULT_KNOWLEDGE

BAR = 1.05
SELECTIONS = {
    "gold": ("gold",),
    "gold + logits": ("gold", "logits"),
    "all": DEFAULT_KNOWLEDGE,
    "logits + logits-mse": ("logits", "logits-mse"),
}


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "recording",
        steps=(8, 2, "training steps of a phase"),
        hidden_size=(384, 64, f"width of both models, a multiple of {HEAD}"),
        tokens=(64, 16, "length of the texts"),
        rounds=(9, 1, "phases of each kind"),
    )
    task = make_task(options.tokens, options.steps * BATCH)
    teacher = make_teacher(task, options.tokens, options.hidden_size)
    kinds = [*DEFAULT_KNOWLEDGE, "logits-mse"]
    distiller = make_distiller(task, teacher, options.tokens, steps=10**7, knowledge=kinds)
    recorder = ExampleRecorder(distiller)
    distiller.advance([1.0] * len(kinds), 1)  # the teacher's one pass over the data
    start = distiller.snapshot()
    rows: list[int] = []
    told: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="kselect-benchmark-") as folder:

        def phase(selection: list[float], recorded: bool) -> float:
            distiller.callbacks[:] = [recorder] if recorded else []
            distiller.restore(start)
            before = CLOCKS[options.clock]()
            distiller.advance(selection, options.steps)
            if recorded:
                seen = recorder.phases[-1]
                rows.append(len(seen))
                seen.save(Path(folder) / "phase.parquet")
                told.append((scalars(seen), histograms(seen)))
            wait()
            return CLOCKS[options.clock]() - before

        cases: dict[str, Case] = {}
        for name, selected in SELECTIONS.items():
            selection = select(distiller, *selected)
            cases |= {name: partial(phase, selection, False), f"{name}, recorded": partial(phase, selection, True)}
        seconds = take_turns(cases, options.rounds, options.clock)

    table, data = [], {}
    for name in SELECTIONS:
        to_plain = ratios(seconds, f"{name}, recorded", name)
        taken = {"seconds": seconds[f"{name}, recorded"], "plain_seconds": seconds[name]}
        data[name] = {**taken, "to_plain": to_plain, "bar": BAR}
        each = [1000 * statistics.median(times) / options.steps for times in taken.values()]
        table.append([name, f"{each[1]:.1f}", f"{each[0]:.1f}", spread(to_plain), f"{BAR:.2f}"])
    title = f"A training step, recorded, median of {options.rounds} phases of {options.steps} steps"
    columns = ["selection", "ms/step", "recorded", "/ unrecorded", "bar"]
    report(options, title, columns, table, data, rows_of_a_phase=rows[-1], dtype=str(distiller.dtype))


if __name__ == "__main__":
    main()
