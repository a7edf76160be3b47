"""How far knowledge rescales each example's gradient (Tang et al. 2020, arXiv 2002.03532)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.callback import MicroBatch
from kselect.errors import KselectError
from kselect.knowledge.base import Knowledge
from kselect.knowledge.logits import Gold, Logits
from kselect.knowledge.target_levels import TargetLevel, is_gold
from kselect.models.heads import Answer

SOFTMAX_HEADS = ("classes", "tagger", "tree-tagger")
"""Heads whose gold loss is a softmax's cross-entropy, place by place."""
FLOOR = -80.0  # of log(1 - q_t): e^80 times any temperature is still a float32

FORMULAS = (Gold.loss, Logits.loss, TargetLevel.loss)
"""Losses whose share is known in closed form, and so exact however sure the student is."""


def check_softmax(head: str) -> None:
    """Refuse a student whose examples have no factor.

    Raises:
        KselectError: its head gives a score, or answers for a sentence as a whole.
    """
    if head not in SOFTMAX_HEADS:
        raise KselectError(
            f"The head {head} chooses no class at each place by itself, so that no gradient can be told rescaled: "
            f"record students whose head is one of {', '.join(SOFTMAX_HEADS)}."
        )


def rescaling_factor(part: MicroBatch, total: Tensor, places: Places | None = None) -> Tensor:
    """Return the gradient rescaling factor of the true class t at each place, `[B, U]`, without waiting for the device.

    It is the loss's derivative along t's logit over that of the cross-entropy with the gold label: by what the loss
    `total [B]` multiplies the pull of the example's own label. With weights a (as the selection, scales and weighting
    of the run make them, example by example), teacher p and student q, softened to p' and q' at temperature T,

        w_t = a_gold + a_logits T (p'_t - q'_t) / (1 - q_t),

    as losses carry the factor T²; a level (`kselect.knowledge.target_levels`) has its own target in place of p'. It
    grows with the teacher's confidence in t, relative to the student's. (In the paper λ / T stands for a_logits T: the
    weights are 1 - λ and λ, and there is no T².) Kinds that reach the logits in other ways, such as `logits-mse` or
    `marginals`, are added from their own derivative, as exact as the arithmetic of the student's output; kinds that do
    not, such as `hidden`, count nothing.

    Where q_t comes near 1, 1 - q_t is summed from the other classes, and taken for e^-80 at least: w_t is always
    finite, but very large and negative where a student is surer than a softened teacher. Where no other class is
    possible nothing pulls, and it is a_gold. Places whose label is not known have a number that means nothing.
    `places` are those of `part`, where somebody has them.
    """
    weights = loss_weights(part, total)
    others = [i for i, kind in enumerate(part.knowledge) if type(kind).loss not in FORMULAS]
    slope = _slope(part, weights, others)
    with torch.no_grad():
        places = places or Places.of(part)
        factor = torch.zeros_like(places.log_rest)
        for i, kind in enumerate(part.knowledge):
            if i not in others:
                factor = factor + weights[:, i, None] * places.share(kind, part)
        return factor if slope is None else factor + places.of_slope(slope)


def loss_weights(part: MicroBatch, total: Tensor) -> Tensor:
    """Return what each loss counts in an example's whole loss, `total [B]`, scales included, `[B, k]`."""
    (weights,) = torch.autograd.grad(total.sum(), part.losses, retain_graph=True)
    return weights


@dataclass(frozen=True)
class Places:
    """The places of B examples: their true classes, and what the student leaves to all other classes.

    labels: `[B, U]`, 0 where none is known. known: which are, `[B, U]`. gold: which class is the true one, `[B, U, K]`.
    log_rest: log(1 - q_t), `[B, U]`. counts: places with a known label, and all places, `[B, 1]` each.
    """

    labels: Tensor
    known: Tensor
    gold: Tensor
    log_rest: Tensor
    counts: tuple[Tensor, Tensor]

    @staticmethod
    @torch.no_grad()
    def of(part: MicroBatch) -> Places:
        """Return the places of a batch."""
        choices, right = part.student.choices, part.student.right_choices(part.batch.labels)
        known, labels = choices.mask & (right >= 0), right.clamp(min=0)
        gold = is_gold(labels, choices.scores.size(-1))
        log_rest = _log_rest(part.student, 1.0, gold).clamp(min=FLOOR)
        real = choices.mask.sum(1, keepdim=True).clamp(min=1)
        return Places(labels, known, gold, log_rest, (known.sum(1, keepdim=True).clamp(min=1), real))

    def share(self, kind: Knowledge, part: MicroBatch) -> Tensor:
        """Return the factor of one of `FORMULAS` by itself, at a weight of 1, `[B, U]`."""
        if isinstance(kind, Gold):
            return torch.ones_like(self.log_rest)
        assert isinstance(kind, Logits | TargetLevel)
        temperature = kind.temperature(part.batch.progress)
        p = None
        if kind.teacher_needs is not None:
            assert part.teacher is not None
            p = part.teacher.choices.log_probabilities(temperature).exp()
        target = p if isinstance(kind, Logits) else kind.target(p, self.labels, part.student.choices.possible)
        assert target is not None
        log_others = target.masked_fill(self.gold, 0.0).sum(-1).log()
        student_others = _log_rest(part.student, temperature, self.gold)
        # p'_t - q'_t, from what both leave to the other classes, which does not cancel where they are sure of t.
        ratio = (student_others - self.log_rest).exp() - (log_others - self.log_rest).exp()
        known, real = self.counts
        return temperature * ratio * (1.0 if kind.reads_labels else known / real)

    def of_slope(self, slope: Tensor) -> Tensor:
        """Return the factor that a derivative along the logits, `[B, U, K]`, amounts to, `[B, U]`."""
        along = slope.reshape(self.gold.shape).to(self.log_rest.dtype).gather(-1, self.labels[..., None]).squeeze(-1)
        return -along * self.counts[0] / self.log_rest.exp()


def true_confidence(answer: Answer, labels: Tensor) -> Tensor:
    """Return the probability of the classes `labels [B, U]` at temperature 1, `[B, U]`."""
    return answer.choices.detached.gather(-1, labels[..., None]).squeeze(-1).exp()


def spread(values: NDArray[np.floating]) -> dict[str, float]:
    """Return mean, standard deviation, least, quartiles and largest of `values [N]`, by name; NaN where N is 0."""
    if not len(values):
        return dict.fromkeys(("mean", "std", "min", "lower_quartile", "median", "upper_quartile", "max"), np.nan)
    exact = values.astype(np.float64)
    least, lower, median, upper, largest = np.quantile(exact, [0, 0.25, 0.5, 0.75, 1]).tolist()
    middle = {"lower_quartile": lower, "median": median, "upper_quartile": upper}
    return {"mean": float(exact.mean()), "std": float(exact.std()), "min": least, **middle, "max": largest}


def correlations(factors: NDArray[np.floating], confidences: NDArray[np.floating]) -> dict[str, float]:
    """Return Pearson's and Spearman's correlation of factors with confidences, `[N]` each, by name.

    NaN where either does not vary. A few examples of which the student is all but sure have factors so large that they
    alone make Pearson's; Spearman's goes by ranks.
    """
    from scipy.stats import pearsonr, spearmanr

    one, other = factors.astype(np.float64), confidences.astype(np.float64)
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return {"pearson": np.nan, "spearman": np.nan}
    return {"pearson": float(pearsonr(one, other)[0]), "spearman": float(spearmanr(one, other)[0])}


def _log_rest(answer: Answer, temperature: float, gold: Tensor) -> Tensor:
    """Return the log-probability of all classes but the true one together, `[B, U]`."""
    log_q = torch.log_softmax(answer.choices.scores.detach() / temperature, -1)
    return log_q.masked_fill(gold, -torch.inf).logsumexp(-1)


def _slope(part: MicroBatch, weights: Tensor, columns: Sequence[int]) -> Tensor | None:
    """Return the derivative of some of the losses, weighted, along what the head reads; None where they do not read it.

    Its shape is the output's. Only the way from the losses back to the output is gone, not into the student.
    """
    if not columns:
        return None
    some = torch.stack([part.losses[:, i] * weights[:, i] for i in columns]).sum()
    return torch.autograd.grad(some, part.output, retain_graph=True, allow_unused=True)[0]
