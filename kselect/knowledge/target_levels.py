"""Targets made from one level of a teacher's knowledge about classes (Tang et al., 2020, arXiv 2002.03532).

The paper distinguishes three levels: universal (label smoothing), domain (similarities of classes) and instance (the
teacher's probabilities for one example).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads.answer import Choices
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule


class TargetLevel(Knowledge):
    """Base class: `T² · KL(target || q)` at temperature T, in nats, a mean over positions.

    The target is built from a part of the teacher's probabilities p; the target p itself would give `logits`. Positions
    without a gold label are left out if the target reads labels. A class that is impossible at a position, such as an
    arc tag whose head is outside the sentence, has probability 0 in the target.
    """

    reads_labels = True
    temperature: Schedule = Schedule(1.0, 1.0)

    def loss(self, student: ModelOutputs, teacher: ModelOutputs | None, batch: Batch) -> Tensor:
        """Return the divergence of each example, `[B]` in nats."""
        temperature, choices = self.temperature(batch.progress), student.answer.choices
        labels = student.answer.right_choices(batch.labels)
        p = None if teacher is None else teacher.answer.choices.log_probabilities(temperature).exp()
        target = self.target(p, labels.clamp(min=0), choices.possible)
        log_q = choices.log_probabilities(temperature)
        by_position = torch.where(target > 0, target * (target.clamp(min=1e-30).log() - log_q), 0.0).sum(-1)
        known = Choices(choices.scores, choices.mask & (labels >= 0)) if self.reads_labels else choices
        return known.mean(by_position) * temperature**2

    @abstractmethod
    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return the target distribution, `[B, U, K]`, which sums to 1 at each position with a known label.

        Args:
            p: the teacher's probabilities, `[B, U, K]`; None if the teacher is not read.
            labels: gold classes, `[B, U]`; 0 where unknown.
            possible: which classes are possible at each position, `[B, U, K]`; the gold one always is.
        """


class LabelSmoothing(TargetLevel):
    """Universal level: the gold class with probability 1 - alpha, and alpha spread uniformly; no teacher."""

    name: ClassVar[str] = "label-smoothing"
    teacher_needs = None

    def __init__(self, alpha: float = 0.1) -> None:
        """Smooth by `alpha`, in [0, 1); 0 gives gold labels."""
        self.alpha = alpha

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return smoothed labels."""
        classes = possible.size(-1)
        of_possible = self.alpha / possible.sum(-1, keepdim=True).clamp(min=1)
        share = torch.where(possible.all(-1, keepdim=True), self.alpha / classes, of_possible)
        return (1 - self.alpha) * is_gold(labels, classes).float() + possible * share


class Similarity(TargetLevel):
    """Domain level (KD-sim): a softmax over cosines of the teacher's output weights, divided by τ.

    Only the teacher's weights are read, so all examples of a class share one target.
    """

    name: ClassVar[str] = "kd-sim"
    reads_weights = True
    teacher_needs = None

    def __init__(self, similarities: Tensor, mass: float | None = None) -> None:
        """Use the rows of `similarities` as targets.

        Args:
            similarities: `[K, K]`, see `class_similarities`.
            mass: total probability of the wrong classes, distributed in proportion to their similarities; by default
                what `similarities` gives them.
        """
        self.similarities = similarities
        if mass is not None:
            gold = torch.eye(len(similarities), dtype=similarities.dtype, device=similarities.device)
            self.similarities = (1 - mass) * gold + mass * shares_of_wrong(similarities)

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return the row of each gold class, normalised over the possible classes."""
        rows = self.similarities.to(labels.device)[labels].masked_fill(~possible, 0.0)
        return rows / torch.where(possible.all(-1, keepdim=True), 1.0, _nonzero_sum(rows))


class Confidence(TargetLevel):
    """Instance level (KD-pt): the teacher's probability of the gold class, the rest spread uniformly."""

    name: ClassVar[str] = "kd-pt"

    def __init__(self, temperature: Schedule) -> None:
        """Read the teacher at `temperature`."""
        self.temperature = temperature

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return p of the gold class, and (1 - p) / (K - 1) for the other possible classes."""
        assert p is not None
        return _distribute_rest(p, labels, torch.ones_like(p), possible)


class ConfidenceSimilarity(TargetLevel):
    """Instance and domain level: the teacher's probability of the gold class, the rest spread by class similarity."""

    name: ClassVar[str] = "kd-pt-sim"
    reads_weights = True

    def __init__(self, similarities: Tensor, temperature: Schedule) -> None:
        """Spread by the rows of `similarities [K, K]`; read the teacher at `temperature`."""
        self.similarities = similarities
        self.temperature = temperature

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return p of the gold class, and the rest in proportion to the similarities of the others."""
        assert p is not None
        return _distribute_rest(p, labels, self.similarities.to(p.device)[labels], possible)


class TopK(TargetLevel):
    """Instance level (KD-topk): the teacher's k largest probabilities, the rest spread uniformly; KD for k = K."""

    name: ClassVar[str] = "kd-top-k"
    reads_labels = False

    def __init__(self, share: float, temperature: Schedule) -> None:
        """Retain this share of the classes, at least one; read the teacher at `temperature`."""
        self.share = share
        self.temperature = temperature

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return the k largest probabilities, and the mean of the others for the other possible classes."""
        assert p is not None
        k = kept_classes(self.share, p.size(-1))
        largest, classes = p.topk(k, -1)
        others = (possible.sum(-1, keepdim=True) - k).clamp(min=1)
        rest = (1 - largest.sum(-1, keepdim=True)).clamp(min=0) / others
        return rest.expand_as(p).scatter(-1, classes, largest).masked_fill(~possible, 0.0)


def kept_classes(share: float, classes: int) -> int:
    """Return k of `kd-top-k`: a share of the number of classes, rounded, at least one."""
    return min(classes, max(1, round(share * classes)))


def class_similarities(weight: Tensor, temperature: float) -> Tensor:
    """Return softmax(cosine / τ) over the rows of an output layer's `weight [K, D]`, `[K, K]` in float32.

    Without a temperature (τ = 1), the rows are nearly uniform for many classes.
    """
    rows = torch.nn.functional.normalize(weight.detach().float(), dim=-1)
    return torch.softmax(rows @ rows.T / temperature, -1)


def shares_of_wrong(similarities: Tensor) -> Tensor:
    """Normalise the rows of `similarities [K, K]` over the wrong classes of each gold class."""
    wrong = similarities.clone().fill_diagonal_(0.0)
    return wrong / _nonzero_sum(wrong)


def is_gold(labels: Tensor, classes: int) -> Tensor:
    """Return one-hot labels as bools, `[B, U, K]`; `one_hot` would synchronise with the device to check labels."""
    return labels[..., None] == torch.arange(classes, device=labels.device)


def _distribute_rest(p: Tensor, labels: Tensor, shares: Tensor, possible: Tensor) -> Tensor:
    """Return p of the gold class `[B, U]`, and the rest in proportion to `shares [B, U, K]` of the possible others."""
    gold = is_gold(labels, p.size(-1))
    others = shares.masked_fill(gold | ~possible, 0.0)
    confidence = p.gather(-1, labels[..., None])
    rest = (1 - confidence).clamp(min=0) * others / _nonzero_sum(others)
    return torch.where(gold, confidence, rest)


def _nonzero_sum(shares: Tensor) -> Tensor:
    """Return the sums over the last axis, `[..., 1]`, clamped to be safe divisors."""
    return shares.sum(-1, keepdim=True).clamp(min=torch.finfo(shares.dtype).tiny)
