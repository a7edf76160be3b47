"""AdamW, and how its learning rate goes up and down."""

from __future__ import annotations

import torch
from torch import Tensor, nn
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


MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Updater:
    """Updates a module, up to the first step that is not finite: neither that one nor any later one touches it.

    The fused optimiser skips an update on the device itself, so that nobody has to wait for the answer.
    """

    def __init__(self, trained: nn.Module, learning_rate: float, weight_decay: float, device: torch.device) -> None:
        """Begin without moments, and without gradients, which a step that was interrupted leaves behind."""
        self._trained = trained
        self._optimizer = make_optimizer(trained, learning_rate, weight_decay)
        self._optimizer.zero_grad(set_to_none=True)
        self._broken = torch.zeros((), device=device)

    def update(self, learning_rate: float, finite: Tensor) -> None:
        """Take the gradients' step at `learning_rate` if it is `finite`, a bool `[]` on the device; then drop them."""
        self._broken = torch.maximum(self._broken, (~finite).float())
        self._optimizer.found_inf = self._broken  # type: ignore[attr-defined]  # as a gradient scaler sets it
        self._optimizer.grad_scale = None  # type: ignore[attr-defined]  # the same: torch reads both off the optimiser
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def go_on(self) -> None:
        """Update again after a step that was not finite."""
        self._broken.zero_()

    def state(self) -> dict[str, Tensor]:
        """Return the optimiser's moments as `<moment>/<parameter>`, of the parameters that have been updated."""
        return {
            f"{moment}/{name}": value
            for name, parameter in self._trained.named_parameters()
            for moment, value in self._optimizer.state.get(parameter, {}).items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` returned, in copies; for one that has taken no step yet."""
        for name, parameter in self._trained.named_parameters():
            kept = [moment for moment in MOMENTS if f"{moment}/{name}" in state]
            if kept:
                self._optimizer.state[parameter] = {
                    moment: state[f"{moment}/{name}"].to(self._broken.device, copy=True) for moment in kept
                }
