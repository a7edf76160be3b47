"""Parts of what a teacher's probabilities tell, one level at a time (Tang et al. 2020, arXiv 2002.03532)."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from kselect.knowledge.base import Batch, Knowledge
from kselect.models.heads.answer import Choices
from kselect.models.outputs import ModelOutputs
from kselect.schedule import Schedule


class Level(Knowledge):
    """`T² · KL(target || q)` at temperature T, a mean over places; a target is made of a part of the teacher's p.

    Places whose gold label is not known are left out where the target reads it. With a target of p itself it is
    `logits`. A class that cannot be at a place, such as an arc tag whose head the sentence does not have, has no share
    in the target there.
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
        gain = torch.where(target > 0, target * (target.clamp(min=1e-30).log() - log_q), 0.0).sum(-1)
        taught = Choices(choices.scores, choices.mask & (labels >= 0)) if self.reads_labels else choices
        return taught.mean(gain) * temperature**2

    @abstractmethod
    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return what the student learns, `[B, U, K]`, each place with a known label summing to 1.

        Args:
            p: the teacher's probabilities, `[B, U, K]`; None where it is not read.
            labels: gold classes, `[B, U]`; 0 where one is not known.
            possible: which classes can be at each place, `[B, U, K]`, the gold one among them.
        """


class LabelSmoothing(Level):
    """The universe: all but a share on the gold class, that share spread over all alike. The teacher is not read."""

    name: ClassVar[str] = "label-smoothing"
    teacher_needs = None

    def __init__(self, alpha: float = 0.1) -> None:
        """Take `alpha`, in [0, 1), off the gold class; 0 is gold labels."""
        self.alpha = alpha

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return the smoothed labels."""
        classes = possible.size(-1)
        of_possible = self.alpha / possible.sum(-1, keepdim=True).clamp(min=1)
        share = torch.where(possible.all(-1, keepdim=True), self.alpha / classes, of_possible)
        return (1 - self.alpha) * is_gold(labels, classes).float() + possible * share


class Similarity(Level):
    """The domain: how alike classes are, as the cosine of the teacher's output weights over τ, in a softmax (KD-sim).

    The teacher's weights are read, and none of its outputs: every example of a class has the same target. With a
    `mass`, so much is left to the wrong classes of each gold one, and they share it as they are alike.
    """

    name: ClassVar[str] = "kd-sim"
    reads_weights = True
    teacher_needs = None

    def __init__(self, similarities: Tensor, mass: float | None = None) -> None:
        """Take rows of `similarities [K, K]`, see `class_similarities`, for targets."""
        self.similarities = similarities
        if mass is not None:
            gold = torch.eye(len(similarities), dtype=similarities.dtype, device=similarities.device)
            self.similarities = (1 - mass) * gold + mass * shares_of_wrong(similarities)

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return the row of each gold class; where some classes cannot be, what they have goes to the others."""
        rows = self.similarities.to(labels.device)[labels].masked_fill(~possible, 0.0)
        return rows / torch.where(possible.all(-1, keepdim=True), 1.0, _sums(rows))


class Confidence(Level):
    """The instance: the teacher's probability of the gold class, the rest shared by all others alike (KD-pt)."""

    name: ClassVar[str] = "kd-pt"

    def __init__(self, temperature: Schedule) -> None:
        """Read the teacher at `temperature`."""
        self.temperature = temperature

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return p of the gold class, and (1 - p) / (K - 1) of each other, where K can be."""
        assert p is not None
        return _around(p, labels, torch.ones_like(p), possible)


class ConfidenceSimilarity(Level):
    """Instance and domain: the teacher's probability of the gold class, the rest shared as classes are alike."""

    name: ClassVar[str] = "kd-pt-sim"
    reads_weights = True

    def __init__(self, similarities: Tensor, temperature: Schedule) -> None:
        """Share by the rows of `similarities [K, K]`; read the teacher at `temperature`."""
        self.similarities = similarities
        self.temperature = temperature

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return p of the gold class, and the rest in proportion to the similarities of the others."""
        assert p is not None
        return _around(p, labels, self.similarities.to(p.device)[labels], possible)


class TopK(Level):
    """The teacher's k largest probabilities, the rest shared by all other classes alike (KD-topk); with k = K, KD."""

    name: ClassVar[str] = "kd-top-k"
    reads_labels = False

    def __init__(self, share: float, temperature: Schedule) -> None:
        """Keep this share of the classes, one at least; read the teacher at `temperature`."""
        self.share = share
        self.temperature = temperature

    def target(self, p: Tensor | None, labels: Tensor, possible: Tensor) -> Tensor:
        """Return the k largest probabilities where they are, and the mean of all others elsewhere."""
        assert p is not None
        k = kept_classes(self.share, p.size(-1))
        largest, at = p.topk(k, -1)
        others = (possible.sum(-1, keepdim=True) - k).clamp(min=1)
        rest = (1 - largest.sum(-1, keepdim=True)).clamp(min=0) / others
        return rest.expand_as(p).scatter(-1, at, largest).masked_fill(~possible, 0.0)


def kept_classes(share: float, classes: int) -> int:
    """Return how many classes `kd-top-k` keeps the probabilities of: a share of them, one at least."""
    return min(classes, max(1, round(share * classes)))


def class_similarities(weight: Tensor, temperature: float) -> Tensor:
    """Return softmax(cosine / τ) over the rows of an output layer's `weight [K, D]`, `[K, K]` in float32.

    Bare cosines (τ = 1) of many classes are nearly flat.
    """
    rows = torch.nn.functional.normalize(weight.detach().float(), dim=-1)
    return torch.softmax(rows @ rows.T / temperature, -1)


def shares_of_wrong(similarities: Tensor) -> Tensor:
    """Return how the wrong classes of each gold one share what they have, by rows of `similarities [K, K]`."""
    wrong = similarities.clone().fill_diagonal_(0.0)
    return wrong / _sums(wrong)


def is_gold(labels: Tensor, classes: int) -> Tensor:
    """Return which class is the gold one, `[B, U, K]`; `one_hot` would wait for the device to look at the labels."""
    return labels[..., None] == torch.arange(classes, device=labels.device)


def _around(p: Tensor, labels: Tensor, shares: Tensor, possible: Tensor) -> Tensor:
    """Return p of the gold class `[B, U]` there, and what is left in proportion to `shares [B, U, K]` of the others."""
    gold = is_gold(labels, p.size(-1))
    others = shares.masked_fill(gold | ~possible, 0.0)
    confidence = p.gather(-1, labels[..., None])
    rest = (1 - confidence).clamp(min=0) * others / _sums(others)
    return torch.where(gold, confidence, rest)


def _sums(shares: Tensor) -> Tensor:
    """Return the sum of what each place shares out, `[B, U, 1]`; not 0, by which nothing can be divided."""
    return shares.sum(-1, keepdim=True).clamp(min=torch.finfo(shares.dtype).tiny)
