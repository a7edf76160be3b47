"""Where the time of a training step goes.

    python benchmarks/profiling.py [--hidden_size 384] [--tokens 64] [--rounds 5]

A 6-layer teacher whose outputs are cached and its 3-layer student (BERT, heads of 32, random weights), batches of 32
texts of one length. Gold labels, gold beside each default knowledge, and all of them take turns, a step each. The table
has medians of milliseconds, measured around the calls that a step is made of; what a part measured inside another takes
is not the outer one's. It tells where the time goes on a CPU: of an accelerator, nobody waits for it part by part.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from knowledge import SELECTIONS
from measure import CLOCKS, read_options, report
from pair import BATCH, make_distiller, make_task, make_teacher, select

from kselect.distillation import distiller as module
from kselect.distillation import pair_forward
from kselect.distillation.distiller import Distiller
from kselect.distillation.optimizer import StudentOptimizer
from kselect.tasks.encoding import EncodedSplit


class Stopwatch:
    """Seconds by part, parts inside others taken out of them, by a clock of `CLOCKS`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, whose time is counted as `part`."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            start = self._clock()
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = self._clock() - start
                self.seconds[part] += elapsed - self._inner.pop()
                if self._inner:
                    self._inner[-1] += elapsed

        return call


def watched(distiller: Distiller, watch: Stopwatch) -> ExitStack:
    """Let `watch` measure the parts of `distiller`'s steps while the context lasts."""
    parts: list[tuple[str, Any, str]] = [
        ("collating", EncodedSplit, "batch"),
        ("reading the teacher", distiller.teacher_source, "outputs_for"),
        ("student's forward", pair_forward, "forward"),
        ("backward", torch.Tensor, "backward"),
        ("clipping", module, "clip_grad_norm_"),
        ("update", StudentOptimizer, "step"),
        ("signals", module, "compute_signals"),
        ("the rest", distiller, "advance"),
    ]
    parts += [("losses", knowledge, "loss") for knowledge in distiller.knowledge]
    stack = ExitStack()
    for part, owner, name in parts:
        stack.enter_context(patch.object(owner, name, watch.timed(part, getattr(owner, name))))
    return stack


def main() -> None:
    """Take the steps, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "profiling",
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        tokens=(64, 16, "length of the texts"),
        rounds=(5, 1, "steps of each selection"),
    )
    task = make_task(options.tokens, 4 * BATCH)
    teacher = make_teacher(task, options.tokens, options.hidden_size)
    # A run so long that its warm-up never gets going: the student stays where it is, and every step costs the same.
    distiller = make_distiller(task, teacher, options.tokens, steps=10**7)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in SELECTIONS}
    for number in range(-1, options.rounds):  # the first fills the cache
        for name in SELECTIONS if number % 2 == 0 else reversed(SELECTIONS):
            watch = Stopwatch(CLOCKS[options.clock])
            with watched(distiller, watch):
                distiller.advance(select(distiller, *SELECTIONS[name]), 1)
            if number >= 0:
                taken[name].append(watch.seconds)

    def medians(part: str) -> list[float]:
        return [statistics.median(step[part] for step in steps) for steps in taken.values()]

    parts = dict.fromkeys(part for steps in taken.values() for step in steps for part in step)
    rows = [
        [part, *(f"{1000 * one:.1f}" for one in medians(part))]
        for part in sorted(parts, key=lambda part: -medians(part)[-1])
    ]
    whole = [statistics.median(sum(step.values()) for step in steps) for steps in taken.values()]
    rows.append(["whole step", *(f"{1000 * one:.1f}" for one in whole)])
    rows.append(["/ gold", *(f"{one / whole[0]:.3f}" for one in whole)])
    title = f"Milliseconds of a step, 6 -> 3 layers, {options.hidden_size} wide, {BATCH} x {options.tokens} tokens"
    columns = ["part", *({"fine-tune": "gold", "all": "all"}.get(name, f"+ {name}") for name in SELECTIONS)]
    figures = {
        name: {"seconds": {part: [step[part] for step in steps] for part in parts}} for name, steps in taken.items()
    }
    report(options, f"{title}, median of {options.rounds}", columns, rows, figures, dtype=str(distiller.dtype))


if __name__ == "__main__":
    main()
