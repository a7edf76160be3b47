"""What each knowledge is worth to each example, along a given direction: by one forward-mode pass, or by backward ones.

    python benchmarks/values.py [--hidden_size 384] [--tokens 64] [--rounds 5]

The value of a knowledge for an example is the inner product of its loss's gradient with a direction in parameter space.
`torch.func.jvp` of the losses `[B, k]` gives all B·k of them in one pass; otherwise each takes a backward pass of its
own, here the cheaper way, example by example: B forward passes of one example and B·k backward ones. Both are set
against a training step with the same knowledge, and must give the same numbers, which is checked. The teacher's
outputs are read beforehand, and there is no dropout. Fused attention kernels have no forward mode, so `jvp` runs
through the plain one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from measure import Case, ratios, read_options, report, spread, take_turns
from pair import BATCH, LIVE, make_distiller, make_task, make_teacher
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from kselect.distillation.distiller import Distiller
from kselect.distillation.teacher.sources import LiveTeacher
from kselect.knowledge.base import Batch, Knowledge
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, forward
from kselect.tasks.encoding import encode

TOLERANCE = 1e-3  # of the largest value, in float32

UNIT = "a training step, live teacher"

Direction = dict[str, Tensor]
Way = Callable[..., Tensor]


class Losses(nn.Module):
    """The losses `[B, k]` of a batch as a function of the student's parameters."""

    def __init__(self, student: nn.Module, knowledge: tuple[Knowledge, ...]) -> None:
        super().__init__()
        self.student = student
        self.knowledge = knowledge
        self.needs = Needs.union(kind.student_needs for kind in knowledge)

    def forward(self, batch: dict[str, Tensor], teacher: ModelOutputs) -> Tensor:
        """Run the student as it is, and compare."""
        outputs = forward(self.student, batch, self.needs)  # type: ignore[arg-type]  # the library's own class
        examples = Batch(batch["labels"], progress=0.0)
        return torch.stack([kind.loss(outputs, teacher, examples) for kind in self.knowledge], dim=1)


def by_jvp(losses: Losses, direction: Direction, batch: dict[str, Tensor], teacher: ModelOutputs) -> Tensor:
    """Return the inner products `[B, k]` of every loss's gradient with `direction`, in one forward-mode pass."""
    parameters = {name: value.detach() for name, value in losses.named_parameters()}
    with sdpa_kernel(SDPBackend.MATH):
        return jvp(lambda moved: functional_call(losses, moved, (batch, teacher)), (parameters,), (direction,))[1]


def by_backward(losses: Losses, direction: Direction, batch: dict[str, Tensor], teacher: ModelOutputs) -> Tensor:
    """Return the same by one backward pass for each example and knowledge."""
    named = dict(losses.named_parameters())
    rows = []
    for row in range(len(batch["labels"])):
        one = slice(row, row + 1)
        of_row = losses({name: value[one] for name, value in batch.items()}, example(teacher, one))[0]
        products = []
        for loss in of_row:
            gradients = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
            pairs = zip(named, gradients, strict=True)
            shares = [(direction[name] * gradient).sum() for name, gradient in pairs if gradient is not None]
            products.append(torch.stack(shares).sum())
        rows.append(torch.stack(products))
    return torch.stack(rows)


def example(outputs: ModelOutputs, rows: slice) -> ModelOutputs:
    """Return the outputs of some examples of a batch."""
    inner: dict[str, Any] = {
        kind: {layer: value[rows] for layer, value in outputs.layers(kind).items()} for kind, _ in Needs().items()
    }
    return ModelOutputs(outputs.logits[rows], outputs.attention_mask[rows], **inner)


def read_batch(distiller: Distiller) -> tuple[dict[str, Tensor], ModelOutputs]:
    """Return one batch, and what the teacher gives on it."""
    assert distiller.teacher is not None
    whole = encode(distiller.task.splits["train"], distiller.student.tokenizer, distiller.max_length)
    batch = {name: value.to(distiller.device) for name, value in whole.batch(np.arange(BATCH)).items()}
    needs = Needs.union(kind.teacher_needs for kind in distiller.knowledge if kind.teacher_needs is not None)
    return batch, LiveTeacher([distiller.teacher.model], torch.float32).outputs_for(np.arange(BATCH), batch, needs)


def main() -> None:
    """Run the rounds, compare the values, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "values",
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        tokens=(64, 16, "length of the texts"),
        rounds=(5, 2, "turns of each case"),
    )
    task = make_task(options.tokens, BATCH)
    teacher = make_teacher(task, options.tokens, options.hidden_size)
    distiller = make_distiller(task, teacher, options.tokens, steps=10**7, **LIVE)
    losses = Losses(distiller.student.model, distiller.knowledge)
    torch.manual_seed(0)
    direction = {name: torch.randn_like(value) for name, value in losses.named_parameters()}
    batch, outputs = read_batch(distiller)
    passes = f"{BATCH * len(distiller.names)} backward passes"
    ways = {"one jvp": by_jvp, passes: by_backward}

    def run(way: Way) -> Tensor:
        return way(losses.eval(), direction, batch, outputs)

    one, other = map(run, ways.values())
    error = float((one - other).abs().max() / other.abs().max())
    if error > TOLERANCE:
        raise SystemExit(f"The two ways differ by {error:.1e} of the largest value: they should be equal.")
    cases: dict[str, Case] = {UNIT: partial(distiller.advance, np.ones(len(distiller.names)), 1)}
    cases |= {name: partial(run, way) for name, way in ways.items()}
    seconds = take_turns(cases, options.rounds, options.clock)

    rows = [
        [name, f"{statistics.median(taken):.3f}", spread(ratios(seconds, name, UNIT), 2)]
        for name, taken in seconds.items()
    ]
    title = f"{BATCH} x {len(distiller.names)} values, {options.hidden_size} wide, {options.tokens} tokens"
    title += f"; largest difference {error:.0e} of the largest value"
    report(options, title, ["way", "seconds", "/ step"], rows, {"seconds": seconds, "error": error})


if __name__ == "__main__":
    main()
