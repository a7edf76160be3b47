"""Callbacks of transformers' `Trainer` that say which knowledge counts in each training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kselect.distillation.callback import MicroBatch
from kselect.errors import KselectError


class SelectionCallback(TrainerCallback):
    """Follows the steps of one training, and averages losses for the log.

    A subclass sets the weights of each step in `on_step_begin`.

    Attributes:
        names: of the kinds of knowledge on offer.
        steps: number of training steps.
        weights: of the current step, normalised, `[k]`; None before the first.
        computed: indices of the kinds of knowledge that are computed in it; None for those with a weight.
    """

    def __init__(self, names: tuple[str, ...], steps: int) -> None:
        self.names, self.steps = names, steps
        self.weights: NDArray[np.float32] | None = None
        self.computed: NDArray[np.int64] | None = None
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, compared: MicroBatch, share: float) -> None:
        """Count the mean losses of a batch, which is a `share` of a training step; they stay on the device."""
        for kind, loss in zip(compared.knowledge, compared.losses.detach().mean(0), strict=True):
            total, batches = self._sums.get(kind.name, (torch.zeros_like(loss), 0))
            self._sums[kind.name] = total + loss, batches + 1

    def add_gradient(self, model: nn.Module) -> None:
        """Read the whole gradient of a training step, before it is clipped."""

    def save(self, folder: Path) -> None:
        """Write what a resumed training needs into a checkpoint; a plan is made again."""

    def take_logs(self) -> dict[str, float]:
        """Return the mean loss of each kind since the last call, and its present weight; nothing before a step."""
        if self.weights is None:
            return {}
        means = {f"loss/{name}": total.item() / batches for name, (total, batches) in self._sums.items()}
        self._sums = {}
        return means | {f"weight/{name}": float(w) for name, w in zip(self.names, self.weights, strict=True)}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse a training of another length than planned."""
        if state.max_steps != self.steps:
            raise KselectError(
                f"The training has {state.max_steps} steps, and {self.steps} are planned: give the settings that "
                "the checkpoint was saved under."
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse a step after the last, which `Trainer` takes when a training that is over is resumed in an epoch."""
        if state.global_step >= self.steps:
            raise KselectError(
                f"All {self.steps} training steps were taken, so that nothing is left to resume: leave out "
                "resume_from_checkpoint, or give a checkpoint from before.",
                setting="resume_from_checkpoint",
            )


class PlannedSelection(SelectionCallback):
    """Keeps to a plan."""

    def __init__(self, names: tuple[str, ...], plan: NDArray[np.float32]) -> None:
        """Follow the weights of every step, `[steps, k]`, of the kinds of knowledge `names`."""
        super().__init__(names, len(plan))
        self._plan = plan

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the weights of the step that begins."""
        super().on_step_begin(args, state, control, **kwargs)
        self.weights = self._plan[state.global_step]
