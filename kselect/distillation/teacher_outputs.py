"""Where a teacher's outputs come from: a forward pass for every batch, or the disk (see `cached_teacher`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from kselect.distillation.precision import autocast
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, average, forward


class TeacherOutputs(Protocol):
    """A source of a teacher's outputs on training examples."""

    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Return the outputs that `needs` names.

        Args:
            indices: which training examples, `[B]`, for a source that looks them up.
            batch: those examples as tensors on the device, for a source that computes them.
            needs: the layers wanted.
        """
        ...


class LiveTeacher:
    """A forward pass for every batch, without gradient and without dropout; the mean of several teachers' logits."""

    def __init__(self, models: Sequence[PreTrainedModel], dtype: torch.dtype) -> None:
        """Run `models` (moved to where the batches are beforehand) in arithmetic of `dtype`."""
        self.models = [model.eval() for model in models]
        self.dtype = dtype

    @torch.no_grad()
    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Run every teacher on `batch`."""
        with autocast(batch["input_ids"].device, self.dtype):
            return average([forward(model, batch, needs) for model in self.models])
