"""How good a classifier is on a split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.device import autocast, send
from kselect.distillation.sampler import sorted_batches
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, forward
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task


@dataclass(frozen=True)
class Evaluation:
    """Mean gold loss in nats (squared error in a regression), the task's metrics, and on how many examples."""

    loss: float
    metrics: dict[str, float]
    examples: int


@dataclass(frozen=True)
class Predictions:
    """What a model said of N examples, in their order: its answers, and their gold losses, `[N]`."""

    answers: list[NDArray[Any]]
    losses: NDArray[np.float32]


def evaluate(
    classifier: Classifier,
    task: Task,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    batch_size: int,
    dtype: torch.dtype,
) -> Evaluation:
    """Measure `classifier` (as it is placed) on the examples `indices` of a split, in arithmetic of `dtype`."""
    predictions = predict(classifier, encoded, indices, batch_size, dtype)
    return Evaluation(
        loss=float(predictions.losses.mean()),
        metrics=task.score_rows(predictions.answers, encoded, indices),
        examples=len(np.unique(encoded.numbers[indices])),
    )


@torch.no_grad()
def predict(
    classifier: Classifier, encoded: EncodedSplit, indices: NDArray[np.int64], batch_size: int, dtype: torch.dtype
) -> Predictions:
    """Return what the classifier says of the examples `indices [N]`, without dropout.

    An answer is a label id or score, `[]`; of a sentence of n words, `[n]` or `[n, 2]`, as its labels are.
    """
    answers: list[NDArray[Any]] = [np.empty(0)] * len(indices)
    losses = np.empty(len(indices), dtype=np.float32)
    for rows, batch, outputs in passes(classifier, encoded, indices, batch_size, dtype):
        losses[rows] = outputs.answer.gold_loss(batch["labels"]).float().cpu().numpy()
        found = outputs.answer.predict().cpu().numpy()
        for row, answer in zip(rows, found, strict=True):
            answers[row] = encoded.trimmed(answer, int(indices[row]))
    return Predictions(answers, losses)


@torch.no_grad()
def mean_loss(
    classifier: Classifier, encoded: EncodedSplit, indices: NDArray[np.int64], batch_size: int, dtype: torch.dtype
) -> float:
    """Return the `loss` that `evaluate` has, for less: nothing is decoded or scored, and no metric is loaded."""
    losses = np.empty(len(indices), dtype=np.float32)
    for rows, batch, outputs in passes(classifier, encoded, indices, batch_size, dtype):
        losses[rows] = outputs.answer.gold_loss(batch["labels"]).float().cpu().numpy()
    return float(losses.mean())


@torch.no_grad()
def predict_logits(
    classifier: Classifier, encoded: EncodedSplit, indices: NDArray[np.int64], batch_size: int, dtype: torch.dtype
) -> Tensor:
    """Return logits of the texts `indices [N]` in their order, `[N, K]` float32 on the CPU, without dropout."""
    logits = torch.empty(len(indices), int(classifier.model.config.num_labels or 0))
    for rows, _, outputs in passes(classifier, encoded, indices, batch_size, dtype):
        logits[rows] = outputs.logits.float().cpu()
    return logits


def passes(
    classifier: Classifier,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    batch_size: int,
    dtype: torch.dtype,
    needs: Needs | None = None,
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor], ModelOutputs]]:
    """Run the classifier on the examples `indices`, without dropout, in batches of like length.

    Gives which of them (places in `indices`), their batch, and the outputs, with what `needs` names beside the logits.
    Gradients are the caller's to switch off.
    """
    model = classifier.model.eval()
    head = classifier.head.eval()
    for rows in sorted_batches(encoded.lengths[indices], batch_size):
        batch = {name: send(value, model.device) for name, value in encoded.batch(indices[rows]).items()}
        with autocast(model.device, dtype):
            outputs = forward(model, batch, needs or Needs()).under(head)
            _ = outputs.answer  # made here, in the same arithmetic
        yield rows, batch, outputs


def fixed_sample(size: int, count: int | None) -> NDArray[np.int64]:
    """Choose `count` of `size` examples, always the same; all of them, in order, where there are no more."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).permutation(size)[:count])
