"""AdamW for the student."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import AdamW

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def make_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """Create a fused AdamW with weight decay for matrices, but not for biases and norms."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate, fused=True)


class StudentOptimizer:
    """AdamW that stops updating at the first step with a loss or gradient that is not finite.

    The fused optimizer skips an update on the device, without synchronisation.
    """

    def __init__(self, trained: nn.Module, learning_rate: float, weight_decay: float, device: torch.device) -> None:
        """Start without moments, and drop gradients left by an interrupted step."""
        self._trained = trained
        self._optimizer = make_optimizer(trained, learning_rate, weight_decay)
        self._optimizer.zero_grad(set_to_none=True)
        self._nonfinite = torch.zeros((), device=device)

    def step(self, learning_rate: float, finite: Tensor) -> None:
        """Update at `learning_rate` if all steps so far were `finite`, a bool `[]` on the device; drop gradients."""
        self._nonfinite = torch.maximum(self._nonfinite, (~finite).float())
        self._optimizer.found_inf = self._nonfinite  # type: ignore[attr-defined]  # as set by GradScaler
        self._optimizer.grad_scale = None  # type: ignore[attr-defined]  # read by torch as well
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def clear_nonfinite_flag(self) -> None:
        """Allow updates again after a step that was not finite."""
        self._nonfinite.zero_()

    def state(self) -> dict[str, Tensor]:
        """Return the moments of the parameters updated so far, as `<moment>/<parameter>`."""
        return {
            f"{moment}/{name}": value
            for name, parameter in self._trained.named_parameters()
            for moment, value in self._optimizer.state.get(parameter, {}).items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Copy what `state` returned into an optimizer that has taken no step yet.

        Raises:
            KeyError: a moment of a parameter that there is not.
            ValueError: the moments of a parameter are incomplete, or of another shape.
        """
        parameters = dict(self._trained.named_parameters())
        for name, value in state.items():
            moment, _, owner = name.partition("/")
            shape = () if moment == "step" else parameters[owner].shape
            if moment not in MOMENTS or value.shape != shape:
                raise ValueError(f"{name} is no moment of the optimizer")
        for name, parameter in parameters.items():
            moments = [moment for moment in MOMENTS if f"{moment}/{name}" in state]
            if len(moments) not in (0, len(MOMENTS)):
                raise ValueError(f"the optimizer has no whole moments of {name}")
            if moments:
                self._optimizer.state[parameter] = {
                    moment: state[f"{moment}/{name}"].to(self._nonfinite.device, copy=True) for moment in moments
                }
