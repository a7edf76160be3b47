"""The optimiser, the batches and the length of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, Literal

from kselect.config.validation import Config

Precision = Literal["auto", "bf16", "fp32"]
Schedule = Literal[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "warmup_stable_decay",
]
"""Schedules of transformers whose value depends on nothing but the step."""


@dataclass(frozen=True)
class TrainingConfig(Config):
    """Training: the optimiser, the batches and the length of a run."""

    epochs: float = 3.0
    """Passes over the training split; an episode lasts this long."""
    batch_size: int = 32
    """Examples per training step, over all accumulated parts."""
    accumulation: int = 1
    """Micro-batches that each batch, or each process's part of it, is split into for gradient accumulation."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW, which it rises to over the warm-up."""
    warmup: float = 0.1
    """Share of the training steps over which the learning rate rises."""
    lr_scheduler_type: Schedule = "linear"
    """How the learning rate falls after the warm-up, by the name that transformers has for it: linearly to 0 by
    default; constant has no warm-up."""
    lr_scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of that schedule, such as num_cycles=2 for cosine_with_restarts."""
    weight_decay: float = 0.01
    """Decoupled weight decay, on weight matrices only."""
    max_grad_norm: float = 1.0
    """Maximum norm of the gradient, which is clipped to it."""
    precision: Precision = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""
    gradient_checkpointing: bool = False
    """Compute the student's activations again in the backward pass rather than store them, which takes less memory and
    more time."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto is the CUDA device if there is one."""

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


@dataclass(frozen=True)
class StoppingConfig(Config):
    """Stopping: by what the reward split says, which is held out of train; dev decides nothing."""

    early_stopping_patience: int | None = None
    """Stop after so many measurements in a row that are no better than the best one before; never by default."""
    early_stopping_threshold: float = 0.0
    """How much better a measurement must be to count, in the unit of rewards."""
    load_best_student_at_end: bool = False
    """Keep the weights of the best measurement rather than those of the last training step."""

    def validate(self) -> None:
        """Refuse numbers out of range, and a threshold that nothing reads."""
        patience, threshold = self.early_stopping_patience, self.early_stopping_threshold
        self.require("early_stopping_patience", patience is None or patience > 0, "give a positive number")
        self.require("early_stopping_threshold", 0 <= threshold < inf, "give 0 or more")
        reads = patience is not None or threshold == 0
        self.require("early_stopping_threshold", reads, "give early_stopping_patience, too, or leave it out")

    @property
    def measures(self) -> bool:
        """Whether the student is measured on the reward split for this."""
        return self.early_stopping_patience is not None or self.load_best_student_at_end
