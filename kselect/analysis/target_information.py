"""Information in a teacher's probabilities, in nats, by level of knowledge (Tang et al. 2020, arXiv 2002.03532)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from kselect.analysis.predictions import Floats, Predictions
from kselect.schedule import Schedule
from kselect.stats import Estimate

TINY = 1e-300  # least probability that a logarithm is taken of


@dataclass(frozen=True)
class TargetInformation:
    """Decomposition of the information in targets p over N positions, with p_t the probability of the gold class.

    The mean over positions of `KL(p || s)`, with s the label smoothing that gives the gold class the mean of p_t, is
    exactly `instance + domain + rest`, by the chain rule for KL divergences. The three are in nats per position.

    Attributes:
        temperature: Temperature at which p is read.
        positions: N.
        classes: K.
        accuracy: Share of positions where p is largest at the gold class.
        confidence: Mean of p_t.
        spread: Standard deviation of p_t.
        instance: Mean KL divergence of (p_t, 1 - p_t) from its mean, which `kd-pt` passes on.
        domain: Mean of `(1 - p_t) KL(w_t || uniform)`, with w_t the mean distribution over wrong classes where t is
            gold: what the positions of a gold class have in common.
        rest: Mean of `(1 - p_t) KL(w || w_t)`, with w the distribution over wrong classes at one position.
    """

    temperature: float
    positions: int
    classes: int
    accuracy: float
    confidence: float
    spread: float
    instance: float
    domain: float
    rest: float

    @property
    def total(self) -> float:
        """Information beyond a label smoothing, in nats per position."""
        return self.instance + self.domain + self.rest

    @property
    def shares(self) -> dict[str, float]:
        """Shares of instance, domain and rest in the total; empty where the total is 0."""
        parts = {"instance": self.instance, "domain": self.domain, "rest": self.rest}
        return {name: value / self.total for name, value in parts.items()} if self.total > 0 else {}

    @property
    def certainty(self) -> float:
        """Mean of p_t, rescaled to 0 at 1 / K and 1 at 1."""
        return self._above_chance(self.confidence)

    @property
    def skill(self) -> float:
        """Accuracy, rescaled to 0 at 1 / K and 1 at 1."""
        return self._above_chance(self.accuracy)

    def _above_chance(self, value: float) -> float:
        return (value - 1 / self.classes) / (1 - 1 / self.classes)


def target_information(p: Floats, labels: NDArray[np.int64], temperature: float = 1.0) -> TargetInformation:
    """Decompose the information in probabilities.

    Args:
        p: Probabilities `[N, K]`, read at `temperature`.
        labels: Gold classes `[N]`.
        temperature: For the record.
    """
    classes = p.shape[1]
    gold = np.arange(classes) == labels[:, None]
    target, wrong = p[gold], np.where(gold, 0.0, p)
    mass = wrong.sum(1)
    by_class = np.zeros((classes, classes))
    np.add.at(by_class, labels, wrong)
    typical = mass[:, None] * by_class[labels] / np.maximum(by_class[labels].sum(1, keepdims=True), TINY)
    uniform = mass[:, None] * (~gold) / max(classes - 1, 1)
    mean = target.mean()
    return TargetInformation(
        temperature=temperature,
        positions=len(labels),
        classes=classes,
        accuracy=float((p.argmax(1) == labels).mean()),
        confidence=float(mean),
        spread=float(target.std()),
        instance=_divergence(np.stack([target, mass], 1), np.array([mean, 1 - mean])),
        domain=_divergence(typical, uniform),
        rest=_divergence(wrong, typical),
    )


def information_at(predictions: Predictions, temperature: float | str) -> tuple[TargetInformation, ...]:
    """Decompose the information in predictions at a temperature (a schedule's start), at half and at twice that."""
    start = Schedule.parse(temperature, "temperature")(0.0)
    return tuple(
        target_information(np.exp(predictions.log_probabilities(value)), predictions.labels, value)
        for value in (start, start / 2, start * 2)
    )


def _divergence(p: Floats, q: Floats) -> float:
    """Return the mean over rows of the KL divergence, in nats; rounding below 0 is cut off."""
    return max(0.0, float(rel_entr(p, np.maximum(q, TINY)).sum(1).mean()))


@dataclass(frozen=True)
class TopK:
    """The smallest k whose `kd-top-k` target predicts held-out labels as well as any.

    The target has the k largest probabilities and shares the rest equally.

    Attributes:
        k: Number of probabilities.
        gain: Reduction in held-out loss over the full distribution, in nats.
    """

    k: int
    classes: int
    gain: Estimate

    @staticmethod
    def of(predictions: Predictions, temperature: float = 1.0) -> TopK | None:
        """Find the smallest k that is within one standard error of the best; None for two classes.

        With a single example, whose error is not known, it is K.
        """
        if predictions.classes == 2:
            return None
        losses = top_k_losses(predictions, temperature)
        best = losses[losses.mean(1).argmin()]
        excess = [predictions.mean(loss - best) for loss in losses]
        k = next((i for i, worse in enumerate(excess, 1) if worse.mean <= worse.se), predictions.classes)
        return TopK(k, predictions.classes, predictions.mean(losses[-1] - losses[k - 1]))


def top_k_losses(predictions: Predictions, temperature: float = 1.0) -> Floats:
    """Return the loss of gold labels under the `kd-top-k` target for each k, `[K, N]` in nats."""
    p = np.exp(predictions.log_probabilities(temperature))
    gold = predictions.gold_values(p)
    largest = np.cumsum(-np.sort(-p, axis=1), axis=1).T
    rank = (p > gold[:, None]).sum(1)  # number of classes above the gold one
    ks = np.arange(1, predictions.classes + 1)[:, None]
    rest = np.clip(1 - largest, 0, None) / np.maximum(predictions.classes - ks, 1)
    return np.asarray(-np.log(np.maximum(np.where(rank < ks, gold, rest), np.finfo(float).tiny)))
