"""What a training step shows for free."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STUDENT_SIGNALS = ("student_confidence", "student_entropy", "student_accuracy")
TEACHER_SIGNALS = ("teacher_confidence", "teacher_entropy", "agreement")
SIGNALS = STUDENT_SIGNALS + TEACHER_SIGNALS


def read_signals(student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
    """Return the batch's means in the order of `SIGNALS`, `[6]`, NaN where the teacher was not read.

    Confidence is the largest probability; entropy is divided by log K and so lies in [0, 1]; accuracy is against the
    gold labels, agreement between the two models' arg-max. A regression has none of these: what could be read is 0.
    """
    unread = torch.full((len(TEACHER_SIGNALS),), math.nan, device=student_logits.device)
    if labels.is_floating_point():
        zeros = torch.zeros(len(SIGNALS), device=student_logits.device)
        return zeros if teacher_logits is not None else torch.cat([zeros[: len(STUDENT_SIGNALS)], unread])
    prediction, student = _confidence_and_entropy(student_logits)
    read = torch.stack([*student, (prediction == labels).float().mean()])
    if teacher_logits is None:
        return torch.cat([read, unread])
    teacher_prediction, teacher = _confidence_and_entropy(teacher_logits)
    return torch.cat([read, torch.stack([*teacher, (prediction == teacher_prediction).float().mean()])])


def _confidence_and_entropy(logits: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    log_probabilities = torch.log_softmax(logits.detach().float(), dim=-1)
    confidence, prediction = log_probabilities.max(-1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(-1) / math.log(logits.size(-1))
    return prediction, (confidence.exp().mean(), entropy.mean())


@dataclass(frozen=True)
class PhaseReport:
    """What a phase showed.

    losses: mean loss of each knowledge that was computed, without scale or weight. slopes: how that loss changed from
    the first half of the phase to the second, relative to the first. signals: means by name, of those that were read.
    """

    first_step: int
    steps: int
    losses: dict[str, float]
    slopes: dict[str, float]
    signals: dict[str, float]
    grad_norm: float


def summarise(
    first_step: int,
    losses: NDArray[np.float32],
    signals: NDArray[np.float32],
    grad_norms: NDArray[np.float32],
    names: tuple[str, ...],
) -> PhaseReport:
    """Average the rows of a phase's steps.

    Args:
        first_step: the step of the first row.
        losses: `[steps, k]`, NaN for what was not computed.
        signals: `[steps, 6]`, NaN for what was not read.
        grad_norms: `[steps]`, before clipping.
        names: of the columns of `losses`.
    """
    computed = {name: losses[:, i] for i, name in enumerate(names) if not np.isnan(losses[:, i]).any()}
    return PhaseReport(
        first_step=first_step,
        steps=len(losses),
        losses={name: float(column.mean()) for name, column in computed.items()},
        slopes={name: _slope(column) for name, column in computed.items()},
        signals={
            name: float(signals[:, i].mean()) for i, name in enumerate(SIGNALS) if not np.isnan(signals[:, i]).any()
        },
        grad_norm=float(grad_norms.mean()),
    )


def _slope(column: NDArray[np.float32]) -> float:
    half = len(column) // 2
    if half == 0:
        return 0.0
    before, after = float(column[:half].mean()), float(column[half:].mean())
    return (after - before) / max(abs(before), 1e-8)
