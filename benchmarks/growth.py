"""How time grows with data, with the length of the texts and with layers.

    python benchmarks/growth.py [--hidden_size 192] [--rounds 5]

Under all default knowledge, the training of one epoch, the cached teacher's pass over the data included, on once, twice
and four times the examples; and a training step with a cached teacher on texts, or of models, once, twice and four
times as long or deep (3 layers of 6 to 12 of 24). The slope is that of the logarithms: 1 is linear, below 1 what does
not grow is still felt. Attention makes long texts grow faster than linearly; data and layers should not.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from measure import CLOCKS, Case, ratios, read_options, report, slope, spread, take_turns, wait
from pair import BATCH, make_distiller, make_task, make_teacher

from kselect.distillation.distiller import Distiller

FACTORS = (1, 2, 4)


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "growth",
        examples=(256, 32, "examples at once the data"),
        tokens=(32, 8, "tokens at once the length"),
        layers=(6, 2, "layers of the teacher at once the depth; the student has half"),
        hidden_size=(192, 64, "width of both models, a multiple of 32"),
        steps=(3, 1, "training steps of one turn"),
        rounds=(5, 2, "turns of each case"),
    )

    def setup(examples: int, tokens: int, layers: int, steps: int, **knowledge: Any) -> Distiller:
        task = make_task(tokens, examples)
        teacher = make_teacher(task, tokens, options.hidden_size, layers)
        return make_distiller(task, teacher, tokens, steps, layers=layers // 2, **knowledge)

    clock = CLOCKS[options.clock]

    def one_epoch(factor: int) -> float:
        examples = options.examples * factor
        with tempfile.TemporaryDirectory() as folder:
            distiller = setup(examples, options.tokens, options.layers, -(-examples // BATCH), cache_dir=folder)
            start = clock()
            distiller.advance(np.ones(len(distiller.names)), distiller.total_steps)
            wait()
            return clock() - start

    def steps_of(distiller: Distiller) -> Case:
        return partial(distiller.advance, np.ones(len(distiller.names)), options.steps)

    axes: dict[str, Callable[[int], Case]] = {
        "data": lambda factor: partial(one_epoch, factor),
        "length": lambda factor: steps_of(setup(4 * BATCH, options.tokens * factor, options.layers, 10**7)),
        "layers": lambda factor: steps_of(setup(4 * BATCH, options.tokens, options.layers * factor, 10**7)),
    }
    cases = {f"{axis} x{factor}": make(factor) for axis, make in axes.items() for factor in FACTORS}
    seconds = take_turns(cases, options.rounds, options.clock)

    rows, data = [], {}
    for axis in axes:
        names = [f"{axis} x{factor}" for factor in FACTORS]
        slopes = [slope(FACTORS, row) for row in zip(*(seconds[name] for name in names), strict=True)]
        data[axis] = {"seconds": {name: seconds[name] for name in names}, "slopes": slopes}
        times = [spread(ratios(seconds, name, names[0]), 2) for name in names[1:]]
        rows.append([axis, f"{statistics.median(seconds[names[0]]):.3f}", *times, spread(slopes, 2)])
    columns = ["of", "seconds at x1", "x2 / x1", "x4 / x1", "slope"]
    report(options, "Growth of time: 1 is linear, which data and layers should not exceed", columns, rows, data)


if __name__ == "__main__":
    main()
