"""What is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kselect.config.checks import require


@dataclass
class EvaluationConfig:
    """Model: what is evaluated, and how."""

    model: str
    """Folder or hub id of a classifier, student or teacher; or the folder of its run, or of a policy."""
    batch_size: int = 64
    """Examples per forward pass."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of forward passes; auto takes bf16 where the hardware multiplies it natively."""

    def __post_init__(self) -> None:
        require(bool(self.model), "model is empty: give the folder of a classifier.")
        require(self.batch_size > 0, f"batch_size is {self.batch_size}: give a positive number.")
