"""A training step under each knowledge, against plain fine-tuning of the same student.

    python benchmarks/knowledge.py [--hidden_size 384] [--tokens 64] [--rounds 9] [--steps 3]

A 6-layer teacher and its 3-layer student, batches of 32 texts of 64 tokens, each default knowledge beside gold labels,
and all of them. Plain fine-tuning is a loop of its own that knows nothing of kselect: the model's forward pass with
labels, backward, clipping, a fused AdamW, on tensors that are ready in memory. Everything takes turns in one process;
ratios are medians over the rounds, with quartiles. The cached teacher's one pass over the data is in no figure. The
live teacher is set against its own forward pass and the cached step together.
"""

from __future__ import annotations

import copy
import statistics
from functools import partial
from typing import Any

import numpy as np
import torch
from measure import Case, ratios, read_options, report, spread, take_turns
from pair import BATCH, LIVE, make_distiller, make_task, make_teacher, select
from torch.nn.utils import clip_grad_norm_

from kselect.config.knowledge import DEFAULT_KNOWLEDGE
from kselect.distillation.device import autocast
from kselect.distillation.distiller import Distiller
from kselect.distillation.teacher.sources import LiveTeacher
from kselect.models.needs import Needs
from kselect.tasks.encoding import encode

BATCHES = 8
PLAIN = "plain fine-tuning"
COLUMNS = ("knowledge", "ms/step", "/ plain", "/ fine-tune", "bar", "live / plain", "live / (teacher + cached)", "bar")
BARS = {"logits": 1.03, "hidden": 1.08, "relations": 1.08, "all": 1.25}
LIVE_BAR = 1.0
SELECTIONS = {
    "fine-tune": ("gold",),
    **{name: ("gold", name) for name in DEFAULT_KNOWLEDGE if name != "gold"},
    "all": DEFAULT_KNOWLEDGE,
}


def plain_fine_tuning(distiller: Distiller, steps: int) -> Case:
    """Return so many steps of the student's own, in a loop that knows nothing of kselect."""
    model = copy.deepcopy(distiller.student.model).train()
    model.set_attn_implementation("sdpa")
    whole = encode(distiller.task.splits["train"], distiller.student.tokenizer, distiller.max_length)
    data = {name: value.to(distiller.device) for name, value in whole.batch(np.arange(len(whole))).items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-7, weight_decay=0.01, fused=True)

    def run() -> None:
        for _ in range(steps):
            rows = torch.randperm(len(whole))[:BATCH].to(distiller.device)
            with autocast(distiller.device, distiller.dtype):
                loss = model(**{name: value[rows] for name, value in data.items()}).loss
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return run


def teacher_forward(distiller: Distiller, names: tuple[str, ...], steps: int) -> Case:
    """Return the teacher's forward passes that so many live steps need."""
    assert distiller.teacher is not None
    kinds = [knowledge for knowledge in distiller.knowledge if knowledge.name in names]
    needs = Needs.union(kind.teacher_needs for kind in kinds if kind.teacher_needs is not None)
    live = LiveTeacher([distiller.teacher.model], distiller.dtype)
    whole = encode(distiller.task.splits["train"], distiller.student.tokenizer, distiller.max_length)

    def run() -> None:
        for step in range(steps):
            indices = (np.arange(BATCH) + BATCH * step) % len(whole)
            batch = {name: value.to(distiller.device) for name, value in whole.batch(indices).items()}
            live.outputs_for(indices, batch, needs)

    return run


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "knowledge",
        steps=(3, 1, "training steps of one turn"),
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        tokens=(64, 32, "length of the texts"),
        rounds=(9, 2, "turns of each case"),
    )
    task = make_task(options.tokens, BATCH * BATCHES)
    teacher = make_teacher(task, options.tokens, options.hidden_size)
    # A run so long that its warm-up never gets going: the student stays where it is, and every step costs the same.
    setups = {
        kind: make_distiller(task, teacher, options.tokens, steps=10**7, knowledge=list(DEFAULT_KNOWLEDGE), **settings)
        for kind, settings in (("cached", {}), ("live", LIVE))
    }
    cached, live = setups["cached"], setups["live"]
    cases: dict[str, Case] = {PLAIN: plain_fine_tuning(cached, options.steps)}
    for name, selected in SELECTIONS.items():
        cases[name] = partial(_advance, cached, selected, options.steps)
        if name != "fine-tune":
            cases[f"{name}, live"] = partial(_advance, live, selected, options.steps)
            cases[f"{name}, teacher"] = teacher_forward(live, selected, options.steps)
    seconds = take_turns(cases, options.rounds, options.clock)

    rows, data = [], {}
    for name in (PLAIN, *SELECTIONS):
        figures: dict[str, Any] = {
            "seconds": seconds[name],
            "to_plain": ratios(seconds, name, PLAIN),
            "bar": BARS.get(name),
        }
        figures["to_fine_tune"] = ratios(seconds, name, "fine-tune")
        per_step = 1000 * statistics.median(seconds[name]) / options.steps
        cells = [f"gold + {name}" if name in DEFAULT_KNOWLEDGE else name, f"{per_step:.0f}"]
        cells += [spread(figures["to_plain"]), spread(figures["to_fine_tune"]), _bar(BARS.get(name))]
        if f"{name}, live" in seconds:
            alone, running = f"{name}, teacher", f"{name}, live"
            figures |= {"live_seconds": seconds[running], "teacher_seconds": seconds[alone], "live_bar": LIVE_BAR}
            figures["live_to_plain"] = ratios(seconds, running, PLAIN)
            figures["live_to_teacher_and_cached"] = ratios(seconds, running, name, alone)
            cells += [spread(figures["live_to_plain"]), spread(figures["live_to_teacher_and_cached"]), _bar(LIVE_BAR)]
        data[name] = figures
        rows.append(cells + [""] * (len(COLUMNS) - len(cells)))
    title = f"A training step, 6 -> 3 layers, {options.hidden_size} wide, {BATCH} x {options.tokens} tokens"
    report(options, f"{title}, median of {options.rounds}", COLUMNS, rows, data, dtype=str(cached.dtype))


def _advance(distiller: Distiller, selected: tuple[str, ...], steps: int) -> None:
    distiller.advance(select(distiller, *selected), steps)


def _bar(bar: float | None) -> str:
    return "" if bar is None else f"{bar:.2f}"


if __name__ == "__main__":
    main()
