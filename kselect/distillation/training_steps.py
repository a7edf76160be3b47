"""The training steps of a phase: batches, losses, backward passes and updates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from kselect.config import TrainingConfig
from kselect.distillation.callback import DistillerCallback, MicroBatch, TrainingControl
from kselect.distillation.device import send
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.learning_rate import LearningRate
from kselect.distillation.pair_forward import PairForward
from kselect.distillation.phase_report import SIGNALS, PhaseReport, row_of
from kselect.distillation.processes import Processes
from kselect.distillation.training_state import TrainingState
from kselect.distillation.weighting import Weighting
from kselect.knowledge.base import Knowledge
from kselect.models.classifier import Classifier

Floats = NDArray[np.float32]


class TrainingSteps:
    """Takes the training steps of a run, and computes only what is selected.

    Attributes:
        total_steps: number of training steps of the run.
    """

    def __init__(
        self,
        student: Classifier,
        knowledge: Sequence[Knowledge],
        pair: PairForward,
        weighting: Weighting,
        state: TrainingState,
        training: TrainingConfig,
        device: torch.device,
        processes: Processes,
    ) -> None:
        """Train on `device`.

        Args:
            student: the student.
            knowledge: the kinds of knowledge on offer, in the order of a selection.
            pair: computes the losses of examples.
            weighting: combines the losses of a step.
            state: the state of the run, which each step changes.
            training: settings of the steps.
            device: device of the models.
            processes: they share the micro-batches of each step.
        """
        self.total_steps = training.total_steps(state.sampler.batches_per_epoch)
        self._student = student
        self._knowledge = tuple(knowledge)
        self._pair = pair
        self._weighting = weighting
        self._state = state
        self._training = training
        self._device = device
        self._processes = processes
        self._rate = LearningRate(training, self.total_steps)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self._rate(self._state.step)

    def take(
        self,
        weights: Floats,
        steps: int,
        scales: Floats,
        callbacks: Sequence[DistillerCallback],
        control: TrainingControl,
    ) -> PhaseReport:
        """Take training steps under a selection.

        Args:
            weights: normalised, of the kinds of knowledge and further texts, `[1, k]` for all steps or `[steps, k]`.
            steps: number of steps, no more than the run has left.
            scales: factor on the loss of each kind of knowledge on offer.
            callbacks: observe the steps.
            control: ends the phase early where a callback asks for it.

        Returns:
            Statistics of the steps taken.

        Raises:
            TrainingDivergedError: a loss or gradient is not finite; the state is that before the step.
        """
        of_kinds, of_sources = np.split(weights, [len(self._knowledge)], axis=1)
        selected = np.flatnonzero(of_kinds.any(axis=0))
        computed = tuple(self._knowledge[i].name for i in selected)
        scales_of_selected = send(torch.from_numpy(scales[selected]), self._device)
        by_step = send(torch.from_numpy(of_kinds.take(selected, axis=1)), self._device).expand(steps, -1)
        batches = self._batches(selected, of_kinds, np.broadcast_to(of_sources, (steps, of_sources.shape[1])))
        first_step, rows, moments, read = self._state.step, [], [], []
        self._student.model.train()
        self._student.head.train()
        with self._state.dropout.active():
            for weights_of_step in by_step:
                moments.append(self._state.moment())
                indices, kinds = next(batches)
                rows.append(self._take_one(indices, selected, kinds, weights_of_step, scales_of_selected, callbacks))
                read.append(kinds)
                self._state.step += 1
                for callback in callbacks:
                    callback.on_step_end(self._state.step, control)
                if self._processes.from_first(control.should_training_stop):
                    break
            table = torch.stack(rows).cpu().numpy()  # the only synchronisation with the device in a phase
            for callback in callbacks:
                callback.on_advance_end()
        try:
            return PhaseReport.of_steps(first_step, table, computed, self._training.learning_rate, np.stack(read))
        except TrainingDivergedError as error:
            # The optimizer has skipped that step and all later ones, so that only the rest is undone.
            self._state.rewind(error.step - 1, moments[error.step - 1 - first_step])
            raise

    def _batches(
        self, selected: NDArray[np.int64], weights: Floats, of_sources: Floats
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Yield the batch of each step, and which of the selected kinds are computed on it.

        Kinds that read labels are left out on texts without labels; where nothing else is selected, these are not read.
        """
        unlabelled = np.array([not self._knowledge[i].reads_labels for i in selected])
        every = np.ones(len(selected), dtype=bool)
        for step, shares in enumerate(of_sources):
            weights_of_step = weights[min(step, len(weights) - 1)]
            readable = (weights_of_step[selected] > 0) & unlabelled
            indices, is_labelled = self._state.sampler.next_batch(shares if readable.any() else ())
            yield indices, every if is_labelled else unlabelled

    def _take_one(
        self,
        indices: NDArray[np.int64],
        selected: NDArray[np.int64],
        kinds: NDArray[np.bool_],
        weights: Tensor,
        scales: Tensor,
        callbacks: Sequence[DistillerCallback],
    ) -> Tensor:
        """Take one step; returns its losses, signals and gradient norm in one row, still on the device.

        Args:
            indices: the batch.
            selected: indices of the selected kinds of knowledge, `[k]`.
            kinds: which of them are computed, `[k]`; the loss of the others is NaN.
            weights: of the selected kinds, `[k]`.
            scales: of the selected kinds, `[k]`.
            callbacks: observe the losses.
        """
        if not kinds.all():
            chosen = torch.from_numpy(np.flatnonzero(kinds)).to(self._device)
            weights, scales = weights[chosen] / weights[chosen].sum(), scales[chosen]
        names = tuple(self._knowledge[i].name for i in selected[kinds])
        row = torch.zeros(len(names) + len(SIGNALS), device=self._device)
        parts = self.split(indices)
        seed = self._state.sampler.position["seed"]
        with self._state.dropout.divided(len(parts), seed, self._state.step) as begin_part:
            for number, share in self._own_shares([len(part) / len(indices) for part in parts]):
                begin_part(number)
                micro_batch = self.compare(parts[number], selected[kinds])
                total = self._weighting(micro_batch.losses, weights, scales, names, micro_batch.student)
                for callback in callbacks:
                    callback.on_losses(micro_batch, total)
                (total.mean() * share).backward()
                row += row_of(micro_batch) * share
        gradients = [value.grad for value in self._state.trained.parameters() if value.grad is not None]
        self._processes.add_up([*gradients, row])
        grad_norm = clip_grad_norm_(self._state.trained.parameters(), self._training.max_grad_norm)
        losses, signals = row[: len(names)], row[len(names) :]
        self._state.optimizer.step(self.learning_rate, torch.isfinite(grad_norm) & torch.isfinite(losses).all())
        if not kinds.all():
            losses = torch.full((len(kinds),), math.nan, device=self._device).index_copy(0, chosen, losses)
        return torch.cat([losses, signals, grad_norm.detach().reshape(1)])

    def split(self, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Split a batch into the micro-batches of all processes."""
        parts = self._training.accumulation * self._processes.count
        return np.array_split(indices, min(parts, len(indices)))

    def _own_shares(self, shares: Sequence[float]) -> list[tuple[int, float]]:
        """Return the micro-batches that this process takes, by number, each with its share of the batch.

        Where there are fewer than processes, the others take the first one with a share of 0, for zero gradients of the
        same parameters.
        """
        own = list(enumerate(shares))[self._processes.index :: self._processes.count]
        return own or [(0, 0.0)]

    def compare(self, indices: NDArray[np.int64], selected: Iterable[int], live: bool = False) -> MicroBatch:
        """Compute the losses of training examples for the kinds of knowledge at `selected`; `live`, without cache."""
        step = self._state.step
        kinds = [self._knowledge[i] for i in selected]
        return self._pair.compare(indices, kinds, step + 1, step / self.total_steps, live)
