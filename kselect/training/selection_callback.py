"""The callback that keeps to a plan of selections within transformers' `Trainer`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kselect.distillation.callback import MicroBatch
from kselect.errors import KselectError


class SelectionCallback(TrainerCallback):
    """Follows the steps of a training, with the weights of each, and averages losses for the log.

    Attributes:
        weights: of the current step, `[k]`; None outside of a training.
    """

    def __init__(self) -> None:
        self.weights: NDArray[np.float32] | None = None
        self._names: tuple[str, ...] = ()
        self._plan: NDArray[np.float32] | None = None
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def begin(self, names: tuple[str, ...], plan: NDArray[np.float32]) -> None:
        """Start a training with the weights of every step, `[steps, k]`, of the kinds of knowledge `names`."""
        self._names, self._plan, self._sums = names, plan, {}

    def end(self) -> None:
        """End the training."""
        self.weights = self._plan = None

    def add(self, compared: MicroBatch) -> None:
        """Count the mean losses of a batch; they stay on the device."""
        for kind, loss in zip(compared.knowledge, compared.losses.detach().mean(0), strict=True):
            total, batches = self._sums.get(kind.name, (torch.zeros_like(loss), 0))
            self._sums[kind.name] = total + loss, batches + 1

    def take_logs(self) -> dict[str, float]:
        """Return the mean loss of each kind since the last call, and its present weight; nothing outside a training."""
        if self.weights is None:
            return {}
        means = {f"loss/{name}": total.item() / batches for name, (total, batches) in self._sums.items()}
        self._sums = {}
        return means | {f"weight/{name}": float(w) for name, w in zip(self._names, self.weights, strict=True)}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse a training of another length than planned."""
        if self._plan is not None and state.max_steps != len(self._plan):
            raise KselectError(
                f"The training has {state.max_steps} steps, and {len(self._plan)} are planned: give the settings that "
                "the checkpoint was saved under."
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the weights of the step that begins."""
        if self._plan is not None:
            self.weights = self._plan[state.global_step]
