"""How a model takes its steps."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import Literal

from kselect.config.checks import one_of, require


@dataclass
class TrainingConfig:
    """Training: how a model takes its steps."""

    epochs: float = 3.0
    """Passes over the training split; an episode lasts this long."""
    batch_size: int = 32
    """Examples per training step, over all accumulated parts."""
    accumulation: int = 1
    """Parts a batch is cut into, their gradients added up."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW; rises over the warm-up, then falls linearly to 0."""
    warmup: float = 0.1
    """Share of the training steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Decoupled weight decay, on weight matrices only."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""

    def __post_init__(self) -> None:
        require(0 < self.epochs < inf, f"epochs is {self.epochs}: give a positive number.")
        require(self.batch_size > 0, f"batch_size is {self.batch_size}: give a positive number.")
        require(
            self.accumulation > 0 and self.batch_size % self.accumulation == 0,
            f"accumulation is {self.accumulation}: give a divisor of batch_size ({self.batch_size}).",
        )
        require(self.learning_rate > 0, f"learning_rate is {self.learning_rate}: give a positive number.")
        require(0 <= self.warmup < 1, f"warmup is {self.warmup}: give a share of the steps from 0 up to 1.")
        require(self.weight_decay >= 0, f"weight_decay is {self.weight_decay}: give 0 or more.")
        one_of("precision", self.precision, ("auto", "bf16", "fp32"))
        require(self.max_grad_norm > 0, f"max_grad_norm is {self.max_grad_norm}: give a positive number.")

    def total_steps(self, batches_per_epoch: int) -> int:
        """Return how many training steps all epochs have, a part of a step taken whole; at least 1."""
        # Rounded first, lest 1.1 times 50 batches be a little more than 55.
        return max(1, ceil(round(self.epochs * batches_per_epoch, 9)))
