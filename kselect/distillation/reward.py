"""Rewards: what a student gains on held-out examples, by one of several measures, with its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kselect.config import REWARDS
from kselect.distillation.calibration import CALIBRATED, Positions, calibrated_losses, check_calibrated
from kselect.distillation.distiller import Distiller
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.evaluation import answers_of, fixed_sample, forward_batches, gold_losses
from kselect.tasks.task import Task

LOSS, CALIBRATED_LOSS, METRIC = REWARDS


@dataclass(frozen=True)
class Measurement:
    """One figure of a model on n examples.

    Attributes:
        name: of the measure, see `kselect.config.REWARDS`.
        value: the figure; lower is better for the losses, higher for the metric.
        contributions: of each example, `[n]`; their mean is `value`, up to rounding.
    """

    name: str
    value: float
    contributions: NDArray[np.float64]

    @property
    def se(self) -> float | None:
        """Standard error of `value` over draws of the examples; None for fewer than two."""
        return _standard_error(self.contributions)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"name": self.name, "value": self.value, "contributions": self.contributions.tolist()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Measurement:
        """Return what `to_dict` was called on."""
        return cls(saved["name"], saved["value"], np.asarray(saved["contributions"], dtype=np.float64))


class Gain(NamedTuple):
    """How much better a model has become: positive where it has, with its standard error, paired by example."""

    value: float
    se: float | None


def gain(before: Measurement, after: Measurement) -> Gain:
    """Return the difference between two measurements on the same examples."""
    if before.name != after.name or before.contributions.shape != after.contributions.shape:
        raise ValueError(f"Measurements of {before.name} and {after.name} on different examples have no difference.")
    if after.name == METRIC:
        before, after = after, before
    return Gain(before.value - after.value, _standard_error(before.contributions - after.contributions))


def _standard_error(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def measures(
    distiller: Distiller, split: str = "reward", examples: int | None = None, names: Sequence[str] | None = None
) -> dict[str, Measurement]:
    """Measure the student on a split, from one pass over it.

    * "loss" is the gold loss: cross-entropy in nats or, in a regression, squared error.
    * "calibrated-loss" is that loss after the best temperature for these very predictions or, in a regression, the best
      linear function of the scores.
    * "metric" is the task's score.

    Contributions to a loss are the examples' own losses; what fitting a temperature adds to their error vanishes at its
    optimum. Those to a metric are described in `kselect.tasks.contributions`.

    Args:
        distiller: the run; the student's present weights are measured, without dropout.
        split: name of the split.
        examples: measure a fixed sample of so many; by default all.
        names: the measures; by default all that suit the student's head. Those that are left out cost nothing.

    Returns:
        The measurements by name; all NaN where a loss is not finite.

    Raises:
        KselectError: "calibrated-loss" for a head that has no single temperature.
    """
    student, task, encoded = distiller.student, distiller.task, distiller.encoded(split)
    if names is None:
        names = [name for name in REWARDS if name != CALIBRATED_LOSS or student.head.name in CALIBRATED]
    if CALIBRATED_LOSS in names:
        check_calibrated(student.head.name)
    indices = encoded.whole_examples(fixed_sample(len(encoded), examples))
    losses = np.empty(len(indices), dtype=np.float32)
    answers: list[NDArray[Any]] = [np.empty(0)] * len(indices)
    positions: list[Positions] = []
    batches = forward_batches(student, encoded, indices, distiller.training.batch_size, distiller.dtype)
    with torch.no_grad():
        for rows, batch, outputs in batches:
            losses[rows] = gold_losses(outputs, batch["labels"])
            if METRIC in names:
                for row, answer in zip(rows, answers_of(outputs, encoded, indices[rows]), strict=True):
                    answers[row] = answer
            if CALIBRATED_LOSS in names:
                positions.append(Positions.of(outputs.answer, batch["labels"], rows))
    if not np.isfinite(losses).all():
        return {name: Measurement(name, math.nan, np.full(len(losses), math.nan)) for name in names}
    numbers = encoded.numbers[indices]
    found = {}
    for name in names:
        if name == METRIC:
            value = task.score_rows(answers, encoded, indices)["score"]
            found[name] = Measurement(name, value, task.score_contributions(answers, encoded, indices))
        else:
            of_rows = losses if name == LOSS else calibrated_losses(positions, len(indices))
            found[name] = Measurement(name, float(of_rows.mean()), _by_example(of_rows, numbers))
    return found


def _by_example(losses: NDArray[np.floating], numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return contributions to a mean over rows by the example that each row is of, or a piece of, `[n]`."""
    _, examples = np.unique(numbers, return_inverse=True)
    mean = losses.mean(dtype=np.float64)
    sums = np.bincount(examples, weights=losses - mean)
    return np.asarray(mean + sums * (len(sums) / len(losses)))


def default_measure(head: str) -> str:
    """Return what rewards measure by default: the calibrated loss, or the loss where a head has no one temperature."""
    return CALIBRATED_LOSS if head in CALIBRATED else LOSS


def unit_of(task: Task[Any], measure: str) -> tuple[str, float]:
    """Return the unit of rewards, and the reward that tasks are compared by.

    That is the loss of a prediction that ignores the input or, of the metric, 1.
    """
    return ("score", 1.0) if measure == METRIC else (task.loss_unit, task.uninformed_loss)


class RewardMeter:
    """Measures the rewards of a run, each against the measurement before it.

    Args:
        distiller: the run.
        measure: one of `kselect.config.REWARDS`.
        examples: size of the sample of the reward split; None for all of it.
    """

    def __init__(self, distiller: Distiller, measure: str, examples: int | None) -> None:
        if measure == CALIBRATED_LOSS:
            check_calibrated(distiller.student.head.name)
        self.measure, self.examples = measure, examples
        self.unit, self.size = unit_of(distiller.task, measure)
        self.loss = 0.0
        self._distiller = distiller
        self._first: dict[str, Measurement] = {}
        self._last: dict[str, Measurement] = {}

    def restart(self) -> None:
        """Start a run; the untrained student is measured once only."""
        self._first = self._first or self._read()
        self._last = self._first
        self.loss = self._last[LOSS].value

    def reward(self) -> tuple[float, dict[str, Any]]:
        """Measure the student.

        Returns:
            The gain since the last measurement, and for records its standard error (`reward_se`), the gold loss
            (`reward_loss`), the figure that was measured (`reward_value`), its name and unit (`reward_measure`,
            `reward_unit`), and the gain since the start with its standard error (`return`, `return_se`).
        """
        now = self._read()
        reward, whole = (gain(before[self.measure], now[self.measure]) for before in (self._last, self._first))
        self._last, self.loss = now, now[LOSS].value
        facts = {
            "reward_loss": self.loss,
            "reward_value": now[self.measure].value,
            "reward_measure": self.measure,
            "reward_unit": self.unit,
            "return": whole.value,
        }
        errors = {"reward_se": reward.se, "return_se": whole.se}
        return reward.value, facts | {name: se for name, se in errors.items() if se is not None}

    def _read(self) -> dict[str, Measurement]:
        names = list(dict.fromkeys([LOSS, self.measure]))
        with self._distiller.account.measure("reward"):
            found = measures(self._distiller, "reward", self.examples, names)
        if not math.isfinite(found[LOSS].value):
            raise TrainingDivergedError.at(
                self._distiller.step, "the loss on the reward split", self._distiller.training.learning_rate
            )
        return found

    def state(self) -> dict[str, Any]:
        """Return its measurements, for JSON."""
        return {
            moment: {name: each.to_dict() for name, each in found.items()}
            for moment, found in (("first", self._first), ("last", self._last))
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self._first, self._last = (
            {name: Measurement.from_dict(each) for name, each in state[moment].items()} for moment in ("first", "last")
        )
        self.loss = self._last[LOSS].value if self._last else 0.0
