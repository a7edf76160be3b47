"""AdamW, and how its learning rate goes up and down."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW


def learning_rate_factor(step: int, total_steps: int, warmup: float) -> float:
    """Return the share of the peak learning rate at `step`: up linearly over the warm-up, then down to 0.

    >>> [learning_rate_factor(step, 10, 0.2) for step in (0, 1, 2, 6)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warmup_steps = round(warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return (total_steps - step) / max(total_steps - warmup_steps, 1)


def make_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """Make a fused AdamW that decays weight matrices but neither biases nor norms."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate, fused=True)
