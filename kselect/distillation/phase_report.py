"""Statistics of a phase, from quantities that training steps compute anyway."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.callback import MicroBatch
from kselect.distillation.divergence import check_finite
from kselect.models.heads import Answer, Choices

STUDENT_SIGNALS = ("student_confidence", "student_entropy", "student_accuracy")
TEACHER_SIGNALS = ("teacher_confidence", "teacher_entropy", "agreement")
SIGNALS = STUDENT_SIGNALS + TEACHER_SIGNALS


def compute_signals(student: Answer, teacher: Answer | None, labels: Tensor) -> Tensor:
    """Return a batch's means in the order of `SIGNALS`, `[6]`.

    Confidence is the largest probability; entropy is divided by log K, so that it lies in [0, 1]; accuracy is measured
    against gold labels; agreement is that of the two models' most probable classes. For labelled words, all are means
    over words. Values are NaN if the teacher was not read or no label is known. Agreement is 0 between heads with
    different classes. In a regression, values that could be read are 0.
    """
    unread = torch.full((len(TEACHER_SIGNALS),), math.nan, device=labels.device)
    if student.choices_of is None:
        zeros = torch.zeros(len(SIGNALS), device=labels.device)
        return zeros if teacher is not None else torch.cat([zeros[: len(STUDENT_SIGNALS)], unread])
    right = student.right_choices(labels)
    prediction, certainty = _confidence_and_entropy(student.choices)
    known = student.choices.mask & (right >= 0)
    accuracy = torch.where(known.any(), _share(prediction == right, known), math.nan)
    read = torch.stack([*certainty, accuracy])
    if teacher is None:
        return torch.cat([read, unread])
    teacher_prediction, teacher_certainty = _confidence_and_entropy(teacher.choices)
    agreement = read.new_zeros(())
    if student.choices_of == teacher.choices_of:
        agreement = _share(prediction == teacher_prediction, student.choices.mask)
    return torch.cat([read, torch.stack([*teacher_certainty, agreement])])


def row_of(micro_batch: MicroBatch) -> Tensor:
    """Return the mean losses of a batch and its signals, on the device and without gradient, `[k + 6]`."""
    signals = compute_signals(micro_batch.student, micro_batch.teacher, micro_batch.batch.labels)
    return torch.cat([micro_batch.losses.detach().mean(0), signals])


def _confidence_and_entropy(choices: Choices) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    confidence, prediction = choices.detached.max(-1)
    return prediction, (choices.mean(confidence.exp()).mean(), choices.uncertainty.mean())


def _share(hits: Tensor, mask: Tensor) -> Tensor:
    """Return the share of hits among real positions; both are `[B, U]`."""
    return (hits & mask).sum() / mask.sum().clamp(min=1)


@dataclass(frozen=True)
class PhaseReport:
    """Statistics of a phase.

    Attributes:
        first_step: number of training steps before the phase.
        losses: mean loss of each kind of knowledge that was computed, before scale and weight.
        slopes: change of that loss from the first half of the phase to the second, relative to the first.
        signals: means of those in `SIGNALS` that were read, by name.
        grad_norm: mean norm of the gradient before clipping.
    """

    first_step: int
    steps: int
    losses: dict[str, float]
    slopes: dict[str, float]
    signals: dict[str, float]
    grad_norm: float

    @staticmethod
    def of_steps(
        first_step: int,
        table: NDArray[np.float32],
        names: tuple[str, ...],
        learning_rate: float,
        read: NDArray[np.bool_] | None = None,
    ) -> PhaseReport:
        """Average over the steps of a phase.

        Args:
            first_step: number of training steps before the phase.
            table: a row for each step, `[steps, k + 7]`: losses of the k kinds of knowledge that were selected and
                signals (see `row_of`), and the norm of the gradient before clipping.
            names: of the k kinds of knowledge.
            learning_rate: named if the training has diverged.
            read: where a loss was computed, `[steps, k]`; by default everywhere. Kinds that read labels are not
                computed on texts without labels; there, losses are NaN. So are signals where not read.

        Raises:
            TrainingDivergedError: a loss or gradient is not finite.
        """
        losses, signals, grad_norms = np.split(table, [len(names), len(names) + len(SIGNALS)], axis=1)
        computed_losses = losses if read is None else np.where(read, losses, 0.0)
        check_finite(first_step, computed_losses, grad_norms[:, 0], names, learning_rate)
        columns = {name: losses[:, i][~np.isnan(losses[:, i])] for i, name in enumerate(names)}
        computed = {name: column for name, column in columns.items() if len(column)}
        return PhaseReport(
            first_step=first_step,
            steps=len(losses),
            losses={name: float(column.mean()) for name, column in computed.items()},
            slopes={name: _slope(column) for name, column in computed.items()},
            signals={
                name: float(np.nanmean(signals[:, i]))
                for i, name in enumerate(SIGNALS)
                if not np.isnan(signals[:, i]).all()
            },
            grad_norm=float(grad_norms[:, 0].mean()),
        )


def _slope(column: NDArray[np.float32]) -> float:
    half = len(column) // 2
    if half == 0:
        return 0.0
    before, after = float(column[:half].mean()), float(column[half:].mean())
    return (after - before) / max(abs(before), 1e-8)
