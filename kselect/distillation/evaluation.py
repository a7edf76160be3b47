"""Evaluation of a classifier on a split."""

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
    """Result of an evaluation.

    Attributes:
        loss: mean gold loss in nats; mean squared error in a regression.
        metrics: the task's metrics by name.
    """

    loss: float
    metrics: dict[str, float]
    examples: int


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for N examples, in their order.

    Attributes:
        answers: a label id or score, `[]`, or those of a sentence of n words, `[n]` or `[n, 2]`, like its labels.
        losses: gold losses, `[N]`.
        logits: of texts, `[N, K]` in float32 on the CPU; None where they were not kept.
    """

    answers: list[NDArray[Any]]
    losses: NDArray[np.float32]
    logits: Tensor | None = None


def evaluate(
    classifier: Classifier,
    task: Task,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    batch_size: int,
    dtype: torch.dtype,
) -> Evaluation:
    """Evaluate `classifier`, on its device and in `dtype`, on the examples `indices` of a split."""
    return evaluation_of(predict(classifier, encoded, indices, batch_size, dtype), task, encoded, indices)


def evaluation_of(
    predictions: Predictions, task: Task, encoded: EncodedSplit, indices: NDArray[np.int64]
) -> Evaluation:
    """Score predictions for the examples `indices` of a split."""
    return Evaluation(
        loss=float(predictions.losses.mean()),
        metrics=task.score_rows(predictions.answers, encoded, indices),
        examples=len(np.unique(encoded.numbers[indices])),
    )


@torch.no_grad()
def predict(
    classifier: Classifier,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    batch_size: int,
    dtype: torch.dtype,
    keep_logits: bool = False,
) -> Predictions:
    """Return the classifier's predictions for the examples `indices [N]`, without dropout."""
    answers: list[NDArray[Any]] = [np.empty(0)] * len(indices)
    losses = np.empty(len(indices), dtype=np.float32)
    logits = torch.empty(len(indices), int(classifier.model.config.num_labels or 0)) if keep_logits else None
    for rows, batch, outputs in forward_batches(classifier, encoded, indices, batch_size, dtype):
        losses[rows] = gold_losses(outputs, batch["labels"])
        if logits is not None:
            logits[rows] = outputs.logits.float().cpu()
        for row, answer in zip(rows, answers_of(outputs, encoded, indices[rows]), strict=True):
            answers[row] = answer
    return Predictions(answers, losses, logits)


def gold_losses(outputs: ModelOutputs, labels: Tensor) -> NDArray[np.float32]:
    """Return the gold loss of each example of a batch, `[B]`."""
    return outputs.answer.gold_loss(labels).float().cpu().numpy()


def answers_of(outputs: ModelOutputs, encoded: EncodedSplit, indices: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return the answer to each example of a batch, `indices [B]` of a split, like its labels."""
    predicted = outputs.answer.predict().cpu().numpy()
    return [encoded.trimmed(answer, int(index)) for answer, index in zip(predicted, indices, strict=True)]


def forward_batches(
    classifier: Classifier,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    batch_size: int,
    dtype: torch.dtype,
    needs: Needs | None = None,
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor], ModelOutputs]]:
    """Run the classifier without dropout, in batches of similar length; the caller disables gradients.

    Yields:
        Positions of the batch's examples in `indices`, the batch, and the outputs.
    """
    model = classifier.model.eval()
    head = classifier.head.eval()
    for rows in sorted_batches(encoded.lengths[indices], batch_size):
        batch = {name: send(value, model.device) for name, value in encoded.batch(indices[rows]).items()}
        with autocast(model.device, dtype):
            outputs = forward(model, batch, needs or Needs()).under(head)
            _ = outputs.answer  # a cached property: computed in the same dtype
        yield rows, batch, outputs


def fixed_sample(size: int, count: int | None) -> NDArray[np.int64]:
    """Return the sorted indices of a fixed random sample of `count` out of `size` examples; all, if `count` is None."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).permutation(size)[:count])
