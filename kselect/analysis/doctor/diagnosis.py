"""What can be told of a teacher from what it says of a few hundred examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from kselect.analysis.class_similarity import ClassRelations
from kselect.analysis.doctor.calibration import Certainty, Temperature, best_temperature, oversureness
from kselect.analysis.doctor.linear_probe import Probe
from kselect.analysis.predictions import Floats, Sample
from kselect.models.labels import Order, best_order
from kselect.stats import ClusteredEstimate as Estimate

MIDDLE = (0.05, 0.95)  # quantiles: near 1 - q = 0 a factor has no bounds


@dataclass(frozen=True)
class Factors:
    """Spread of the factors over places: their median, and the quantiles at 5 and 95 per cent."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """From the low quantile to the high one."""
        return self.high - self.low

    @staticmethod
    def of(values: Floats) -> Factors:
        """Take the quantiles of `values [N]`."""
        low, median, high = np.quantile(values, [MIDDLE[0], 0.5, MIDDLE[1]])
        return Factors(float(median), float(low), float(high))


def rescaling_factors(
    teacher: Sample, log_q: Floats, temperature: float = 1.0, gold: float = 0.5, logits: float = 0.5
) -> Floats:
    """Return the gradient of distillation over that of gold labels, in the score of the gold class, `[N]`.

    `w = a_gold + a_logits T (p~ - q~) / (1 - q)` for a loss of a_gold CE + a_logits T² KL, where p and q are teacher's
    and student's probabilities of the gold class, and those with a tilde are softened (after Tang et al. 2020, with
    the factor T²). At temperature 1 a teacher that is certain of every gold label has a_gold + a_logits
    throughout, whatever the student is: what varies then is the teacher's doing.

    Args:
        teacher: its scores.
        log_q: log-probabilities of a student, `[N, K]`.
        temperature: T.
        gold: a_gold, the weight of gold labels.
        logits: a_logits, that of the teacher's logits.
    """
    p_soft = np.exp(teacher.of_gold(teacher.log_probabilities(temperature)))
    q_soft = np.exp(teacher.of_gold(log_softmax(log_q / temperature, axis=1)))
    wrong = -np.expm1(teacher.of_gold(log_q))
    found: Floats = gold + logits * temperature * (p_soft - q_soft) / wrong
    return found


@dataclass(frozen=True)
class TopK:
    """The k whose target, the k largest probabilities with the rest shared alike, tells most of held-out labels.

    gain: how much less a gold label's loss is than with all of them, in nats.
    """

    k: int
    classes: int
    gain: Estimate

    @property
    def all_kept(self) -> bool:
        """Whether nothing is lost or gained: one class alone keeps what is left to it."""
        return self.k >= self.classes - 1

    @property
    def share(self) -> float:
        """k / K, as `--top_k` takes it."""
        return round(self.k / self.classes, 4)

    @staticmethod
    def of(sample: Sample, temperature: float = 1.0) -> TopK | None:
        """Find the smallest k that is no worse than the best by more than a standard error; None for two classes.

        Of a single example, whose error is not known, it is all of them.
        """
        if sample.classes == 2:
            return None
        losses = top_k_losses(sample, temperature)
        best = losses[losses.mean(1).argmin()]
        behind = [Estimate.of(each - best, sample.examples) for each in losses]
        k = next((i for i, worse in enumerate(behind, 1) if worse.value <= worse.error), sample.classes)
        return TopK(k, sample.classes, Estimate.of(losses[-1] - losses[k - 1], sample.examples))


def top_k_losses(sample: Sample, temperature: float = 1.0) -> Floats:
    """Return the loss of gold labels under the target of knowledge `kd-top-k` for each k, `[K, N]` in nats."""
    p = np.exp(sample.log_probabilities(temperature))
    gold = sample.of_gold(p)
    kept = np.cumsum(-np.sort(-p, axis=1), axis=1).T
    rank = (p > gold[:, None]).sum(1)  # how many come before the gold class
    ks = np.arange(1, sample.classes + 1)[:, None]
    rest = np.clip(1 - kept, 0, None) / np.maximum(sample.classes - ks, 1)
    found: Floats = -np.log(np.maximum(np.where(rank < ks, gold, rest), np.finfo(float).tiny))
    return found


SOFTEST = 8.0  # temperature that is advised
NEARLY_ALL = (0.01, 0.99)  # quantiles: that a teacher doubts one label in fifty is something to pass on
EXPECTED = 5  # places of a class, among which it should be answered once


@dataclass(frozen=True)
class Diagnosis:
    """What was measured; shares are in [0, 1], losses in nats.

    Rescaling factors are against a linear probe of the untrained student where there is one, which knows about as much
    as the student soon will, and else against a student that knows nothing: all classes alike. They are of train, which
    a student learns from.
    """

    labels: tuple[str, ...]
    """Names of the K classes."""
    held: Certainty
    """On held-out examples."""
    train: Certainty
    """On examples of train, which the teacher learned by heart, or not."""
    temperature: Temperature
    """The one that suits held-out labels best."""
    oversure: Estimate
    """Whether one above that in use would suit them better, or one below it; see `oversureness`."""
    advised_temperature: float
    """The best one, but for rounding, from 1 to `SOFTEST`."""
    truer: Estimate
    """By how much the held-out loss is lower at that than at the one in use."""
    loss_in_use: float
    """Held-out loss at the temperature in use."""
    constant: Estimate
    """Accuracy of train's most frequent class on held-out places."""
    ahead: Estimate
    """Accuracy of the teacher less that."""
    information: Estimate
    """By how much the teacher, at its best temperature, beats held-out's own shares of classes in the held-out loss.

    Both are of a fit to held-out labels, of one number and of K - 1, so that a teacher that knows nothing is behind."""
    probe: Estimate | None
    """Accuracy of the linear probe on held-out places; None without one."""
    ahead_of_probe: Estimate | None
    """Accuracy of the teacher less that."""
    relations: ClassRelations | None
    """What it tells of wrong classes, on train; None for two classes."""
    gold_range: tuple[float, float]
    """Probability of the gold class at the temperature in use, at all but 2 in 100 of train's places."""
    factors: Factors
    """Of rescaling at temperature 1, where a teacher that is certain of all gold labels has the same for all."""
    softened_factors: Factors
    """Of rescaling at the temperature in use."""
    used_temperature: float
    order: Order
    """Whether the held-out answers would be right oftener with labels in another order."""
    never_answered: tuple[str, ...]
    """Classes that held-out examples have, five times at least, and the teacher never answers."""
    top_k: TopK | None
    """How many probabilities say most of held-out labels, at the temperature in use; None for two classes."""


def diagnose(
    held: Sample,
    train: Sample,
    labels: Sequence[str] | None = None,
    temperature: float = 2.0,
    likeness: Floats | None = None,
    probe: Probe | None = None,
) -> Diagnosis:
    """Measure a teacher by its scores alone.

    Args:
        held: of examples that neither teacher nor student learns from, two of them at least.
        train: of examples that both learn from.
        labels: names of the K classes; by default their numbers.
        temperature: the one that a run would use.
        likeness: how wrong classes share by how alike they are, `[K, K]`, as `kd-pt-sim` has them.
        probe: what the untrained student could say of the same samples.

    Raises:
        ValueError: a single held-out example; samples of different classes.
    """
    count = len(np.unique(held.examples))
    if count < 2 or held.classes != train.classes:
        raise ValueError(f"{count} examples of {held.classes} and {train.classes} classes: give two, of the same.")
    names = tuple(map(str, labels if labels is not None else range(held.classes)))
    best = best_temperature(held)
    advised = round(min(max(best.value, 1.0), SOFTEST), 1)
    counts = np.bincount(train.labels, minlength=held.classes)
    constant = (held.labels == counts.argmax()).astype(np.float64)
    frequencies = np.bincount(held.labels, minlength=held.classes) / len(held)
    right = held.right.astype(np.float64)
    probed = None if probe is None else (probe.held.argmax(1) == held.labels).astype(np.float64)
    q = np.full_like(train.logits, -np.log(train.classes)) if probe is None else probe.train
    expected = np.bincount(held.labels, minlength=held.classes) >= EXPECTED
    answered = np.bincount(held.answers, minlength=held.classes) > 0
    return Diagnosis(
        labels=names,
        held=Certainty.of(held),
        train=Certainty.of(train),
        temperature=best,
        oversure=oversureness(held, temperature),
        advised_temperature=advised,
        truer=Estimate.of(held.losses(temperature) - held.losses(advised), held.examples),
        loss_in_use=float(held.losses(temperature).mean()),
        constant=Estimate.of(constant, held.examples, bound=1.0),
        ahead=Estimate.of(right - constant, held.examples, bound=1.0),
        information=Estimate.of(-np.log(frequencies[held.labels]) - held.losses(best.value), held.examples),
        probe=None if probed is None else Estimate.of(probed, held.examples, bound=1.0),
        ahead_of_probe=None if probed is None else Estimate.of(right - probed, held.examples, bound=1.0),
        relations=ClassRelations.of(train, temperature, likeness),
        gold_range=_range(np.exp(-train.losses(temperature))),
        factors=Factors.of(rescaling_factors(train, q)),
        softened_factors=Factors.of(rescaling_factors(train, q, temperature)),
        used_temperature=temperature,
        order=best_order(held.answers, held.labels, held.classes, held.examples),
        never_answered=tuple(names[i] for i in np.flatnonzero(expected & ~answered)),
        top_k=TopK.of(held, temperature),
    )


def _range(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, NEARLY_ALL)
    return float(low), float(high)
