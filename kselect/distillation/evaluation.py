"""How good a classifier is on a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss
from transformers import PreTrainedModel

from kselect.distillation.batches import sorted_batches
from kselect.distillation.precision import autocast
from kselect.distillation.transfer import send
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy in nats (squared error in a regression), the task's metrics, and on how many examples."""

    loss: float
    metrics: dict[str, float]
    examples: int


def evaluate(
    model: PreTrainedModel,
    task: Task,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    batch_size: int,
    dtype: torch.dtype,
) -> Evaluation:
    """Measure `model` (as it is placed) on the examples `indices` of a split, in arithmetic of `dtype`."""
    logits, labels = predict_logits(model, encoded, indices, batch_size, dtype), encoded.labels[indices]
    gold = torch.from_numpy(labels)
    return Evaluation(
        loss=float(mse_loss(logits[:, 0], gold) if task.regression else cross_entropy(logits, gold)),
        metrics=task.score(task.predict(logits.numpy()), labels),
        examples=len(indices),
    )


@torch.no_grad()
def predict_logits(
    model: PreTrainedModel, encoded: EncodedSplit, indices: NDArray[np.int64], batch_size: int, dtype: torch.dtype
) -> Tensor:
    """Return logits of the examples `indices [N]` in their order, `[N, K]` float32 on the CPU, without dropout."""
    model.eval()
    logits = torch.empty(len(indices), int(model.config.num_labels or 0))
    for rows in sorted_batches(encoded.lengths[indices], batch_size):
        batch = {name: send(value, model.device) for name, value in encoded.batch(indices[rows]).items()}
        with autocast(model.device, dtype):
            logits[rows] = forward(model, batch, Needs()).logits.float().cpu()
    return logits


def fixed_sample(size: int, count: int | None) -> NDArray[np.int64]:
    """Choose `count` of `size` examples, always the same; all of them, in order, where there are no more."""
    if count is None or count >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).permutation(size)[:count])
