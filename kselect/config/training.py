"""The optimiser, the batches and the length of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import Literal

from kselect.config.validation import Config

Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True)
class TrainingConfig(Config):
    """Training: the optimiser, the batches and the length of a run."""

    epochs: float = 3.0
    """Passes over the training split; an episode lasts this long."""
    batch_size: int = 32
    """Examples per training step, over all accumulated parts."""
    accumulation: int = 1
    """Micro-batches that each batch is split into for gradient accumulation."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW; rises over the warm-up, then falls linearly to 0."""
    warmup: float = 0.1
    """Share of the training steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Decoupled weight decay, on weight matrices only."""
    max_grad_norm: float = 1.0
    """Maximum norm of the gradient, which is clipped to it."""
    precision: Precision = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""

    def validate(self) -> None:
        """Refuse numbers out of range."""
        self.require("epochs", 0 < self.epochs < inf, "give a positive number")
        self.require("batch_size", self.batch_size > 0, "give a positive number")
        divides = self.accumulation > 0 and self.batch_size % self.accumulation == 0
        self.require("accumulation", divides, f"give a divisor of batch_size ({self.batch_size})")
        self.require("learning_rate", 0 < self.learning_rate < inf, "give a positive number")
        self.require("warmup", 0 <= self.warmup < 1, "give a share of the steps from 0 up to 1")
        self.require("weight_decay", 0 <= self.weight_decay < inf, "give 0 or more")
        self.require("max_grad_norm", self.max_grad_norm > 0, "give a positive number")

    def total_steps(self, batches_per_epoch: int) -> int:
        """Return the number of training steps of all epochs, the last part of a step counted whole; at least 1."""
        # Rounded first, so that 1.1 times 50 batches are not a little more than 55.
        return max(1, ceil(round(self.epochs * batches_per_epoch, 9)))
