"""How long models take to answer: every one in turn, in one process, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.distillation.device import autocast
from kselect.export.graph import WORDS
from kselect.export.session import Session
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import EncodedSplit

WARM_UP = 2
Shape = tuple[int, int]
"""Number of examples of a call, and of tokens of each."""


@dataclass(frozen=True)
class Contender:
    """A model in one form.

    Attributes:
        prepare: returns what a call reads, from its shape; not timed.
        answer: a call, from what was prepared to the answers.
        parameters: number of parameters.
        mib: size of the weights, in MiB.
        score: of the task, on dev.
    """

    name: str
    prepare: Callable[[int, int], Any]
    answer: Callable[[Any], Any]
    parameters: int
    mib: float
    score: float


@dataclass(frozen=True)
class Timing:
    """What N calls took, in seconds: on the clock, and of all processors together, `[N]`."""

    wall: NDArray[np.float64]
    processor: NDArray[np.float64]

    def percentile(self, share: float) -> float:
        """Return the time on the clock that this share of the calls did not exceed, in seconds."""
        return float(np.quantile(self.wall, share))

    def times_faster(self, other: Timing) -> float:
        """Return how many times the processor time of these calls the others took, as the median over rounds."""
        return float(np.median(other.processor / self.processor))


def time_in_turns(
    contenders: Sequence[Contender],
    shapes: Sequence[Shape],
    rounds: int,
    on_round: Callable[[], object] = lambda: None,
) -> dict[str, dict[Shape, Timing]]:
    """Return the timings of each contender, by name and shape.

    In each round every contender answers once in every shape, in an order that differs from round to round.
    """
    prepared = {(each.name, shape): each.prepare(*shape) for each in contenders for shape in shapes}
    for each in contenders:
        for shape in shapes:
            for _ in range(WARM_UP):
                each.answer(prepared[each.name, shape])
    taken: dict[tuple[str, Shape], list[tuple[float, float]]] = {key: [] for key in prepared}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for shape in shapes:
            for index in rng.permutation(len(contenders)):
                each = contenders[index]
                inputs = prepared[each.name, shape]
                wall, processor = time.perf_counter(), time.process_time()
                each.answer(inputs)
                taken[each.name, shape].append((time.perf_counter() - wall, time.process_time() - processor))
        on_round()
    return {each.name: {shape: Timing(*np.array(taken[each.name, shape]).T) for shape in shapes} for each in contenders}


def token_batch(encoded: EncodedSplit, size: int, length: int, words: bool) -> dict[str, torch.Tensor]:
    """Return a batch of `size` rows of `length` tokens, without padding, filled with those of a split in order.

    Where words are labelled, every token but the first and the last one begins a word.
    """
    stream = np.resize(np.concatenate(encoded.input_ids), (size, length)).astype(np.int64)
    batch = {"input_ids": stream, "attention_mask": np.ones_like(stream), "token_type_ids": np.zeros_like(stream)}
    if words:
        positions = np.tile(np.arange(1, length - 1), (size, 1))
        batch |= dict(zip(WORDS, (positions, np.ones_like(positions, dtype=bool)), strict=True))
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def torch_answer(classifier: Classifier, dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], Any]:
    """Return a call of a model in PyTorch, on the CPU."""
    model, head = classifier.model.eval(), classifier.head.eval()

    def answer(batch: dict[str, torch.Tensor]) -> Any:
        with torch.inference_mode(), autocast(model.device, dtype):
            return forward(model, batch, Needs()).under(head).answer.predict()

    return answer


def session_answer(session: Session) -> Callable[[Mapping[str, Any]], Any]:
    """Return a call of an exported model."""
    return lambda batch: session.answers(session.scores(batch), batch)
