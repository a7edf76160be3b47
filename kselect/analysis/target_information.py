"""What a teacher's probabilities say beyond a label smoothing, in nats, told apart by level without any training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kselect.analysis.predictions import Sample
from kselect.schedule import Schedule


@dataclass(frozen=True)
class Content:
    """A teacher's targets p over N places, p_t that of the gold class, told apart exactly.

    The mean over places of `KL(p || s)`, with s the label smoothing that gives the gold class the mean of p_t, is
    `instance + domain + rest`: by the chain rule for which class and whether it is the gold one, and since the mean
    of distributions is what they are nearest to.

    temperature: at which p is read. places: N. classes: K. accuracy: share of places where p is largest on the gold
    class. confidence: mean of p_t. spread: standard deviation of p_t. instance: mean of `KL(p_t || mean p_t)` of two
    outcomes, which is what `kd-pt` passes on. domain: what the wrong classes of each gold class have in common, mean of
    `(1 - p_t) KL(w_t || uniform)`, with w_t their mean distribution where t is gold. rest: what they have not, mean of
    `(1 - p_t) KL(w || w_t)`, with w the distribution of one place. All in nats a place.
    """

    temperature: float
    places: int
    classes: int
    accuracy: float
    confidence: float
    spread: float
    instance: float
    domain: float
    rest: float

    @property
    def total(self) -> float:
        """All that is said beyond a label smoothing, in nats a place."""
        return self.instance + self.domain + self.rest

    @property
    def shares(self) -> dict[str, float]:
        """What part of the total is instance, domain and rest; nothing where nothing is said."""
        parts = {"instance": self.instance, "domain": self.domain, "rest": self.rest}
        return {name: part / self.total for name, part in parts.items()} if self.total > 0 else {}

    @property
    def certainty(self) -> float:
        """How far the mean of p_t is from that of a teacher that knows nothing, 1 / K, towards 1."""
        return self._above_chance(self.confidence)

    @property
    def skill(self) -> float:
        """How far the accuracy is from that of guessing, 1 / K, towards 1."""
        return self._above_chance(self.accuracy)

    def _above_chance(self, value: float) -> float:
        return (value - 1 / self.classes) / (1 - 1 / self.classes)


def content_of(p: Tensor, labels: Tensor, temperature: float = 1.0) -> Content:
    """Tell probabilities `p [N, K]` apart, read at `temperature`, for gold classes `labels [N]`."""
    p, classes = p.double(), p.size(-1)
    gold = labels[:, None] == torch.arange(classes, device=labels.device)
    right, wrong = p[gold], p.masked_fill(gold, 0.0)  # wrong ones are left at their share of the whole
    mass = wrong.sum(-1)
    by_class = torch.zeros(classes, classes, dtype=p.dtype, device=p.device).index_add_(0, labels, wrong)
    typical = by_class[labels] / by_class[labels].sum(-1, keepdim=True).clamp(min=_TINY)
    mean = right.mean()
    halves = torch.stack([right, mass], -1)
    expected = torch.stack([mean, 1 - mean]).clamp(min=_TINY)
    domain = _gain(wrong, mass[:, None] * typical, mass[:, None] * (~gold) / max(classes - 1, 1))
    rest = _gain(wrong, wrong, mass[:, None] * typical)
    return Content(
        temperature=temperature,
        places=len(labels),
        classes=classes,
        accuracy=float((p.argmax(-1) == labels).double().mean()),
        confidence=float(mean),
        spread=float(right.std(unbiased=False)),
        instance=max(0.0, _gain(halves, halves, expected.expand_as(halves))),
        domain=max(0.0, domain),
        rest=max(0.0, rest),
    )


def contents_of(sample: Sample, temperature: float | str) -> list[Content]:
    """Tell a sample apart at the temperature at the start of a run, which comes first, at half of it and at twice."""
    start, labels = Schedule.parse(temperature, "temperature")(0.0), torch.from_numpy(sample.labels)
    return [
        content_of(torch.from_numpy(np.exp(sample.log_probabilities(at))), labels, at)
        for at in (start, start / 2, start * 2)
    ]


_TINY = 1e-300


def _gain(weights: Tensor, ours: Tensor, theirs: Tensor) -> float:
    """Return the mean over rows of `Σ weights · log(ours / theirs)`, `[N, K]` all, in nats; 0 where nothing weighs."""
    logs = ours.clamp(min=_TINY).log() - theirs.clamp(min=_TINY).log()
    return float(torch.where(weights > 0, weights * logs, 0.0).sum(-1).mean())
