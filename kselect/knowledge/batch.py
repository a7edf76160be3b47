"""What a loss may know of a batch beside the models' outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of B training examples at a moment of the run.

    labels: `[B]`, label ids in int64, or scores in float32 where the task is a regression. progress: share of the run
    that is over, in [0, 1), for what changes as training goes on. dtype: arithmetic of the models' forward passes,
    float32 or bfloat16, in which a loss may take matrix products of states too; its sums are in float32 all the same.
    """

    labels: Tensor
    progress: float = 0.0
    dtype: torch.dtype = torch.float32

    @property
    def regression(self) -> bool:
        """Whether labels are scores."""
        return self.labels.is_floating_point()
