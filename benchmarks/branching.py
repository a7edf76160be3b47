"""What it costs to branch: a snapshot of a run, and a return to it, against a training step.

    python benchmarks/branching.py [--layers 12] [--hidden_size 768] [--tokens 64] [--rounds 5]

A student of BERT-base's size (random weights, BERT's vocabulary), fine-tuned in batches of 32. A snapshot copies, in
memory, everything that the rest of the run depends on: weights, both moments of the optimiser, random streams and the
place in the data.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

from measure import CLOCKS, Case, ratios, read_options, report, spread, take_turns, wait
from pair import BATCH, HEAD, make_distiller, make_task, make_teacher

BAR = 0.5
STEP = "a training step"


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "branching",
        layers=(12, 2, "layers of the student"),
        hidden_size=(768, 64, f"width of the student, a multiple of {HEAD}"),
        tokens=(64, 16, "length of the texts"),
        rounds=(5, 1, "how often each is done"),
    )
    task = make_task(options.tokens, 8 * BATCH)
    student = make_teacher(task, options.tokens, options.hidden_size, options.layers)
    distiller = make_distiller(
        task, student, options.tokens, steps=8, layers=options.layers, knowledge=["gold"], teacher_cache=0.0
    )
    distiller.advance([1.0], 1)  # so that the optimiser has moments to copy
    start = distiller.snapshot()

    def step() -> float:
        distiller.restore(start)
        before = CLOCKS[options.clock]()
        distiller.advance([1.0], 1)
        wait()
        return CLOCKS[options.clock]() - before

    cases: dict[str, Case] = {STEP: step, "snapshot": distiller.snapshot, "restore": partial(distiller.restore, start)}
    seconds = take_turns(cases, options.rounds, options.clock)
    size = sum(tensor.nbytes for tensor in start.tensors.values())
    rows: list[list[str]] = []
    data: dict[str, Any] = {}
    for name in cases:
        share = ratios(seconds, name, STEP)
        data[name] = {"seconds": seconds[name], "to_a_step": share}
        rows.append([name, f"{1000 * statistics.median(seconds[name]):.0f}", spread(share), ""])
    both = [one + other for one, other in zip(data["snapshot"]["to_a_step"], data["restore"]["to_a_step"], strict=True)]
    data["both"] = {"to_a_step": both, "bar": BAR}
    rows.append(["both", "", spread(both), f"{BAR:g}"])
    title = f"A snapshot of {size / 2**20:.0f} MiB, median of {options.rounds} rounds"
    report(options, title, ["what", "ms", "/ a training step", "bar"], rows, data, dtype=str(distiller.dtype))


if __name__ == "__main__":
    main()
