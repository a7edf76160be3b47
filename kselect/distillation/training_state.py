"""The state of a run: everything that changes while a student is trained."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from kselect.config import TrainingConfig
from kselect.distillation.optimizer import StudentOptimizer
from kselect.distillation.rng import RandomStream
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.source_sampler import SourcePosition, SourceSampler
from kselect.errors import KselectError

Moment = tuple[SourcePosition, dict[str, Tensor]]
"""Position in the data, and state of the random generators."""


class TrainingState:
    """Weights, optimizer, position in the data, random stream of dropout, and number of steps."""

    def __init__(
        self, trained: nn.Module, sampler: SourceSampler, training: TrainingConfig, device: torch.device
    ) -> None:
        """Remember the current weights as the initial ones."""
        self.trained = trained
        self.sampler = sampler
        self.dropout = RandomStream(device)
        self._training = training
        self._device = device
        self._initial = {name: value.detach().clone() for name, value in trained.state_dict().items()}
        self._start(seed=0)

    def reset(self, seed: int) -> None:
        """Restore the initial weights, and start a run under `seed`."""
        self.trained.load_state_dict(self._initial)
        self._start(seed)

    def _start(self, seed: int) -> None:
        self.step = 0
        self.sampler.restart(seed)
        self.dropout.restart(seed)
        settings = self._training
        self.optimizer = StudentOptimizer(self.trained, settings.learning_rate, settings.weight_decay, self._device)

    def moment(self) -> Moment:
        """Return what `rewind` needs to undo later steps, while the random stream is active."""
        return self.sampler.position, self.dropout.global_state()

    def rewind(self, step: int, moment: Moment) -> None:
        """Return to an earlier step, after steps that have not changed the weights."""
        self.step = step
        self.sampler.position, self.dropout.state = moment
        self.optimizer.clear_nonfinite_flag()

    def snapshot(self, facts: dict[str, Any]) -> Snapshot:
        """Copy the state, together with further `facts`."""
        tensors = {f"trained/{name}": value for name, value in self.trained.state_dict().items()}
        tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.state().items()}
        tensors |= {f"random/{device}": value for device, value in self.dropout.state.items()}
        copies = {name: value.detach().clone() for name, value in tensors.items()}
        return Snapshot(copies, {"step": self.step, "batches": self.sampler.position, **facts})

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the state of `snapshot`."""
        groups = snapshot.groups("trained", "optimizer", "random")
        if groups["random"].keys() != self.dropout.state.keys():
            raise KselectError(
                f"The run was interrupted on another kind of device ({', '.join(groups['random'])}), whose random "
                f"stream cannot continue here: resume it there, or start over.",
                setting="fresh",
            )
        if snapshot.facts["step"] > 0 and not groups["optimizer"]:
            raise ValueError("the optimizer's moments are missing")
        self.trained.load_state_dict(groups["trained"])
        self._start(seed=0)
        self.optimizer.restore(groups["optimizer"])
        self.dropout.state = {device: value.clone() for device, value in groups["random"].items()}
        self.sampler.position = cast(SourcePosition, snapshot.facts["batches"])
        self.step = snapshot.facts["step"]
