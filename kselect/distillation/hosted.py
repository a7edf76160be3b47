"""A distiller whose training steps another loop takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from kselect.distillation.callback import MicroBatch
from kselect.distillation.distiller import Distiller
from kselect.distillation.phase_report import PhaseReport, row_of
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.weighting import step_weights
from kselect.errors import KselectError


@dataclass
class HostedPhase:
    """A phase under way.

    Attributes:
        selection: `[k]`, or `[steps, k]` where it moves from step to step.
        steps: number of training steps that the phase is to have.
        first_step: number of training steps before it.
        weights: normalised, `[1, k]` for all steps, or `[steps, k]`.
        rows: what each step so far has shown, on the device, see `PhaseReport.of_steps`.
    """

    selection: NDArray[np.float32]
    steps: int
    first_step: int
    weights: NDArray[np.float32]
    rows: list[Tensor] = field(default_factory=list)

    @property
    def computed(self) -> NDArray[np.int64]:
        """Indices of the kinds of knowledge that are computed: those with a weight at some step."""
        return np.flatnonzero(self.weights.any(axis=0))

    @property
    def is_over(self) -> bool:
        """Whether all its steps were taken."""
        return len(self.rows) == self.steps


class HostedDistiller(Distiller):
    """A distiller whose training steps another loop takes, such as that of transformers' `Trainer`.

    That loop owns weights, optimiser, data and random numbers, which `reset`, `snapshot` and `restore` leave alone. A
    phase begins with `begin_phase` and ends with `end_phase`, in place of `advance`. Between them, for each step, the
    loop trains by `batch_loss` under the weights of `weights`, and calls `add` for each batch and then `end_step`.

    Attributes:
        phase: the phase under way; None between phases.
    """

    phase: HostedPhase | None = None
    _learning_rate = 0.0
    _row: Tensor | float = 0.0  # of the step under way

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step, which the other loop says."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = value

    def reset(self, seed: int) -> None:
        """Start a run; the other loop has put the initial weights in place, and `seed` determines nothing."""
        self._state.step, self.phase, self._row = 0, None, 0.0

    def advance(self, selection: ArrayLike, steps: int) -> PhaseReport:
        """Refuse: it is the other loop that takes training steps."""
        raise ValueError("Another loop takes the training steps: call begin_phase.")

    def begin_phase(self, selection: ArrayLike, steps: int) -> None:
        """Begin a phase of so many training steps under a selection, see `Distiller.advance`."""
        chosen = np.asarray(selection, dtype=np.float32)
        self.phase = HostedPhase(chosen, steps, self.step, step_weights(chosen, self.names, steps))

    @property
    def weights(self) -> NDArray[np.float32]:
        """Normalised weights of the step under way, `[k]`."""
        phase = self._under_way
        return phase.weights[min(len(phase.rows), len(phase.weights) - 1)]

    def add(self, compared: MicroBatch, share: float) -> None:
        """Add what a batch shows to the step under way, of which it is a `share`."""
        self._row = self._row + row_of(compared) * share

    def end_step(self, grad_norm: Tensor) -> None:
        """Count a training step.

        Args:
            grad_norm: norm of its gradient before clipping, `[]`.
        """
        assert isinstance(self._row, Tensor), "a training step without a batch"
        self._under_way.rows.append(torch.cat([self._row, grad_norm.detach().reshape(1)]))
        self._row = 0.0
        self._state.step += 1

    def end_phase(self) -> tuple[NDArray[np.float32], PhaseReport]:
        """End the phase, also before all its steps were taken, and return its selection and their statistics.

        Raises:
            TrainingDivergedError: a loss or gradient was not finite; the other loop may have taken steps after it.
        """
        phase = self._under_way
        names = tuple(self.names[i] for i in phase.computed)
        table = torch.stack(phase.rows).cpu().numpy()  # the only synchronisation with the device in a phase
        report = PhaseReport.of_steps(phase.first_step, table, names, self.training.learning_rate)
        self.phase = None
        return phase.selection, report

    @property
    def _under_way(self) -> HostedPhase:
        assert self.phase is not None, "no phase is under way"
        return self.phase

    def snapshot(self) -> Snapshot:
        """Copy everything that the rest of the run depends on, but for what the other loop owns."""
        facts = {"step": self.step, "total_steps": self.total_steps, "scales": self.scales.tolist()}
        if self.phase is None:
            return Snapshot({}, facts)
        rows = torch.stack(self.phase.rows).cpu() if self.phase.rows else torch.empty(0)
        # As bits, since files of snapshots hold finite numbers only, and what a step did not read is NaN.
        tensors = {"selection": torch.tensor(self.phase.selection), "rows": rows.view(torch.int32)}
        return Snapshot(tensors, {**facts, "phase": {"steps": self.phase.steps, "first_step": self.phase.first_step}})

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the moment of `snapshot`, where the other loop returns to it, too.

        Raises:
            KselectError: the snapshot is of a run of another length.
        """
        facts = snapshot.facts
        if facts["total_steps"] != self.total_steps:
            raise KselectError(
                f"The run that was stopped has {facts['total_steps']} training steps, and this one {self.total_steps}: "
                "give the settings that it was started with."
            )
        self.reset(0)
        self._state.step = facts["step"]
        self.scales[:] = facts["scales"]  # in place, since the loss of batches reads the same array
        if "phase" in facts:
            selection, bits = (snapshot.tensors[name] for name in ("selection", "rows"))
            weights = step_weights(selection.numpy(), self.names, facts["phase"]["steps"])
            rows = list(bits.view(torch.float32).to(self.device))
            self.phase = HostedPhase(selection.numpy(), **facts["phase"], weights=weights, rows=rows)
