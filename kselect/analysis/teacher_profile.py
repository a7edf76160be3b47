"""Measurements of a teacher, from its predictions on a few hundred examples, before any student is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from kselect.analysis.calibration import CalibrationSummary, TemperatureFit, best_temperature, overconfidence_slope
from kselect.analysis.class_similarity import ClassRelations, kl_from_uniform
from kselect.analysis.linear_probe import LinearProbe
from kselect.analysis.predictions import Floats, Predictions
from kselect.analysis.recording.gradient_rescaling import distillation_factor, log_non_target
from kselect.analysis.target_information import TargetInformation, TopK, information_at
from kselect.knowledge.target_levels import is_gold
from kselect.models.labels import Order, best_order
from kselect.schedule import Schedule
from kselect.stats import Estimate

CENTRAL = (0.05, 0.5, 0.95)  # quantiles: near 1 - q = 0 a factor has no bounds
NEARLY_ALL = (0.01, 0.99)  # quantiles of the probability of the gold class
EXPECTED = 5  # positions of a class from which on it should be predicted once


@dataclass(frozen=True)
class FactorSpread:
    """Quantiles of gradient rescaling factors over positions.

    Attributes:
        median: The median.
        low: The 5 % quantile.
        high: The 95 % quantile.
    """

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Difference between the high and the low quantile."""
        return self.high - self.low

    @staticmethod
    def of(factors: Floats) -> FactorSpread:
        """Take the quantiles of `factors [N]`."""
        low, median, high = np.quantile(factors, CENTRAL).tolist()
        return FactorSpread(median, low, high)


def rescaling_factors(
    teacher: Predictions, log_q: Floats, temperature: float = 1.0, gold: float = 0.5, logits: float = 0.5
) -> Floats:
    """Return the gradient rescaling factor of distillation at the gold class, `[N]`; see `distillation_factor`.

    Args:
        teacher: Predictions of the teacher.
        log_q: Log-probabilities of a student, `[N, K]`.
        temperature: T of the distillation loss.
        gold: Weight of the gold labels.
        logits: Weight of the teacher's logits.
    """
    is_target = is_gold(torch.from_numpy(teacher.labels), teacher.classes)
    scores, student = torch.from_numpy(teacher.logits), torch.from_numpy(log_q)
    log_p = log_non_target(scores, is_target, temperature)
    softened, plain = (log_non_target(student, is_target, at) for at in (temperature, 1.0))
    factors: Floats = (gold + logits * distillation_factor(log_p, softened, plain, temperature)).numpy()
    return factors


@dataclass(frozen=True)
class HeldOutProfile:
    """Measurements on examples that neither the teacher nor the student is trained on.

    Attributes:
        calibration: Accuracy, confidence and calibration at temperature 1.
        best_temperature: The temperature that makes the labels most likely.
        loss: Cross-entropy at the temperature in use, in nats.
        overconfidence: See `overconfidence_slope`, at the temperature in use.
        constant: Accuracy of the most frequent class of train.
        gain_over_constant: Accuracy of the teacher less that.
        information_gain: Loss of the class frequencies of these examples less that of the teacher at its best
            temperature, in nats. Both are fitted to these labels, by K - 1 numbers and by one, so that it is negative
            for a teacher without knowledge.
        probe: Accuracy of a linear probe of the untrained student; None without one.
        gain_over_probe: Accuracy of the teacher less that.
        order: The order of the labels in which predictions are correct most often.
        never_predicted: Classes with several examples that the teacher never predicts.
        top_k: Number of probabilities worth keeping, at the temperature in use; None for two classes.
    """

    calibration: CalibrationSummary
    best_temperature: TemperatureFit
    loss: float
    overconfidence: Estimate
    constant: Estimate
    gain_over_constant: Estimate
    information_gain: Estimate
    probe: Estimate | None
    gain_over_probe: Estimate | None
    order: Order
    never_predicted: tuple[str, ...]
    top_k: TopK | None


@dataclass(frozen=True)
class TeacherProfile:
    """Measurements of a teacher.

    Attributes:
        labels: Names of the K classes.
        temperature: The temperature in use; of a schedule, its start.
        train: Accuracy, confidence and calibration on train at temperature 1.
        information: Information in its targets on train at the temperature in use, at half and at twice that.
        relations: Relations between wrong classes on train, at the temperature in use; None for two classes.
        similarity_kl: Divergence of the similarity shares of `kd-sim` from uniform ones, see `kl_from_uniform`; None
            for two classes, or without similarities.
        gold_range: 1 % and 99 % quantiles of the probability of the gold class on train, at the temperature in use.
        rescaling: Gradient rescaling factors on train at temperature 1, against the linear probe or, without one, a
            student with uniform predictions. A teacher that is certain of all gold labels has the same for all.
        softened_rescaling: The same at the temperature in use.
        held_out: Measurements on held-out examples; None without such.
        metrics: The task's metrics on the examples that the teacher is evaluated on.
    """

    labels: tuple[str, ...]
    temperature: float
    train: CalibrationSummary
    information: tuple[TargetInformation, ...]
    relations: ClassRelations | None
    similarity_kl: float | None
    gold_range: tuple[float, float]
    rescaling: FactorSpread
    softened_rescaling: FactorSpread
    held_out: HeldOutProfile | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def profile_teacher(
    train: Predictions,
    held_out: Predictions | None = None,
    *,
    labels: Sequence[str] | None = None,
    temperature: float | str = 2.0,
    shares: Floats | None = None,
    probe: LinearProbe | None = None,
    metrics: Mapping[str, float] | None = None,
) -> TeacherProfile:
    """Measure a teacher by its predictions alone.

    Args:
        train: Predictions on examples that teacher and student are trained on.
        held_out: Predictions on at least two examples that neither is trained on.
        labels: Names of the K classes; by default their numbers.
        temperature: The temperature that a run would use.
        shares: Shares of the wrong classes by similarity, `[K, K]`; see `similarity_shares`.
        probe: A linear probe of the untrained student, on the same positions.
        metrics: The task's metrics of the teacher, for the record.

    Raises:
        ValueError: A single held-out example, or predictions of different classes.
    """
    names = tuple(map(str, labels if labels is not None else range(train.classes)))
    start = Schedule.parse(temperature, "temperature")(0.0)
    log_q = np.full_like(train.logits, -np.log(train.classes)) if probe is None else probe.train
    low, high = np.quantile(train.gold_probability(start), NEARLY_ALL).tolist()
    return TeacherProfile(
        labels=names,
        temperature=start,
        train=CalibrationSummary.of(train),
        information=information_at(train, start),
        relations=ClassRelations.of(train, start, shares),
        similarity_kl=None if shares is None or train.classes == 2 else kl_from_uniform(shares, train.labels),
        gold_range=(low, high),
        rescaling=FactorSpread.of(rescaling_factors(train, log_q)),
        softened_rescaling=FactorSpread.of(rescaling_factors(train, log_q, start)),
        held_out=None if held_out is None else _profile_held_out(train, held_out, names, start, probe),
        metrics=dict(metrics or {}),
    )


def _profile_held_out(
    train: Predictions, held_out: Predictions, names: Sequence[str], temperature: float, probe: LinearProbe | None
) -> HeldOutProfile:
    count, classes = len(np.unique(held_out.examples)), train.classes
    if count < 2 or held_out.classes != classes:
        raise ValueError(f"{count} examples of {held_out.classes} and {classes} classes: give two, of the same.")
    best = best_temperature(held_out)
    correct = held_out.correct.astype(np.float64)
    constant = held_out.labels == np.bincount(train.labels, minlength=classes).argmax()
    probe_correct = None if probe is None else probe.held_out.argmax(1) == held_out.labels
    occurrences = np.bincount(held_out.labels, minlength=classes)
    log_frequencies = np.log((occurrences / len(held_out))[held_out.labels])
    predicted = np.bincount(held_out.predicted, minlength=classes) > 0
    return HeldOutProfile(
        calibration=CalibrationSummary.of(held_out),
        best_temperature=best,
        loss=float(held_out.losses(temperature).mean()),
        overconfidence=overconfidence_slope(held_out, temperature),
        constant=held_out.mean(constant),
        gain_over_constant=held_out.mean(correct - constant),
        information_gain=held_out.mean(-log_frequencies - held_out.losses(best.value)),
        probe=None if probe_correct is None else held_out.mean(probe_correct),
        gain_over_probe=None if probe_correct is None else held_out.mean(correct - probe_correct),
        order=best_order(held_out.predicted, held_out.labels, classes, held_out.examples),
        never_predicted=tuple(np.asarray(names)[(occurrences >= EXPECTED) & ~predicted].tolist()),
        top_k=TopK.of(held_out, temperature),
    )
