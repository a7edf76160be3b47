"""Gradient rescaling of each example by knowledge distillation (Tang et al. 2020, arXiv 2002.03532)."""

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
"""Heads whose gold loss is the cross-entropy of a softmax at each position."""
FLOOR = -80.0  # of log(1 - q_t): e^80 times any temperature is still a float32

FORMULAS = (Gold.loss, Logits.loss, TargetLevel.loss)
"""Losses whose factor is known in closed form, and so exact however certain the student is."""


def check_softmax(head: str) -> None:
    """Check that the examples of a student have a rescaling factor."""
    if head not in SOFTMAX_HEADS:
        raise KselectError(
            f"The head {head} has no softmax over classes at each position, so there is no gradient rescaling to "
            f"record: use a student with one of the heads {', '.join(SOFTMAX_HEADS)}."
        )


def log_non_target(scores: Tensor, gold: Tensor, temperature: float) -> Tensor:
    """Return the log-probability of all classes but the gold one together, `[...]`.

    Args:
        scores: Class scores `[..., K]`.
        gold: Which class is the gold one, `[..., K]`.
        temperature: Divides the scores.
    """
    return torch.log_softmax(scores / temperature, -1).masked_fill(gold, -torch.inf).logsumexp(-1)


def distillation_factor(log_p: Tensor, log_q: Tensor, log_q_plain: Tensor, temperature: float) -> Tensor:
    """Return the gradient rescaling factor of T² KL(p' || q') at the gold class t, `T (p'_t - q'_t) / (1 - q_t)`.

    It is computed from the probability that both models leave to the other classes, which does not cancel where they
    are certain of t.

    Args:
        log_p: log(1 - p'_t) of the target at temperature T.
        log_q: log(1 - q'_t) of the student at temperature T.
        log_q_plain: log(1 - q_t) of the student at temperature 1.
        temperature: T.
    """
    return temperature * ((log_q - log_q_plain).exp() - (log_p - log_q_plain).exp())


def rescaling_factor(part: MicroBatch, total: Tensor, positions: Positions | None = None) -> Tensor:
    """Return the gradient rescaling factor of the gold class t at each position, without waiting for the device.

    The factor is the derivative of the loss along t's logit divided by that of the cross-entropy with the gold label.
    With weights a (as the selection, scales and weighting of the run make them for each example), teacher p and
    student q, softened to p' and q' at temperature T,

        w_t = a_gold + a_logits T (p'_t - q'_t) / (1 - q_t),

    as losses carry the factor T²; a level (`kselect.knowledge.target_levels`) has its own target in place of p'. It
    grows with the teacher's confidence in t relative to the student's. (The paper has λ / T in place of a_logits T: its
    weights are 1 - λ and λ, without T².) Kinds of knowledge that reach the logits in other ways, such as `logits-mse`
    or `marginals`, are added by autograd, as exact as the precision of the student's output; kinds that do not reach
    them, such as `hidden`, add nothing.

    Where q_t is near 1, 1 - q_t is summed from the other classes and bounded below by e^-80: the factor is always
    finite, but very large and negative where a student is more certain than a softened teacher. Where no other class
    is possible there is no gradient, and the factor is a_gold. At positions without a known label it is
    meaningless.

    Args:
        part: A micro-batch before its backward pass.
        total: The whole loss of each example, `[B]`.
        positions: The positions of `part`, where the caller has them.

    Returns:
        The factors `[B, U]`.
    """
    weights = loss_weights(part, total)
    others = [i for i, kind in enumerate(part.knowledge) if type(kind).loss not in FORMULAS]
    gradient = _output_gradient(part, weights, others)
    with torch.no_grad():
        positions = positions or Positions.of(part)
        factor = torch.zeros_like(positions.log_rest)
        for i, kind in enumerate(part.knowledge):
            if i not in others:
                factor = factor + weights[:, i, None] * positions.factor_of(kind, part)
        return factor if gradient is None else factor + positions.factor_of_gradient(gradient)


def loss_weights(part: MicroBatch, total: Tensor) -> Tensor:
    """Return the weight of each loss in the whole loss of an example, `total [B]`, scales included, `[B, k]`."""
    (weights,) = torch.autograd.grad(total.sum(), part.losses, retain_graph=True)
    return weights


@dataclass(frozen=True)
class Positions:
    """Labels and the student's probabilities at the positions of B examples.

    Attributes:
        labels: Gold classes `[B, U]`, 0 where unknown.
        known: Whether the label is known, `[B, U]`.
        gold: Which class is the gold one, `[B, U, K]`.
        log_rest: log(1 - q_t), `[B, U]`.
        counts: Number of positions with a known label, and of all positions, `[B, 1]` each.
    """

    labels: Tensor
    known: Tensor
    gold: Tensor
    log_rest: Tensor
    counts: tuple[Tensor, Tensor]

    @staticmethod
    @torch.no_grad()
    def of(part: MicroBatch) -> Positions:
        """Return the positions of a micro-batch."""
        choices, labels = part.student.choices, part.student.right_choices(part.batch.labels)
        known, labels = choices.mask & (labels >= 0), labels.clamp(min=0)
        gold = is_gold(labels, choices.scores.size(-1))
        log_rest = log_non_target(choices.scores.detach(), gold, 1.0).clamp(min=FLOOR)
        real = choices.mask.sum(1, keepdim=True).clamp(min=1)
        return Positions(labels, known, gold, log_rest, (known.sum(1, keepdim=True).clamp(min=1), real))

    def factor_of(self, kind: Knowledge, part: MicroBatch) -> Tensor:
        """Return the factor of one of `FORMULAS` alone, at a weight of 1, `[B, U]`."""
        if isinstance(kind, Gold):
            return torch.ones_like(self.log_rest)
        assert isinstance(kind, Logits | TargetLevel)
        temperature = kind.temperature(part.batch.progress)
        choices, p = part.student.choices, None
        if kind.teacher_needs is not None:
            p = part.teachers[kind.teachers].choices.log_probabilities(temperature).exp()
        target = p if isinstance(kind, Logits) else kind.target(p, self.labels, choices.possible)
        assert target is not None
        log_p = target.masked_fill(self.gold, 0.0).sum(-1).log()
        log_q = log_non_target(choices.scores.detach(), self.gold, temperature)
        known, real = self.counts
        scale = 1.0 if kind.reads_labels else known / real
        return scale * distillation_factor(log_p, log_q, self.log_rest, temperature)

    def factor_of_gradient(self, gradient: Tensor) -> Tensor:
        """Return the factor `[B, U]` of a gradient with respect to the logits, `[B, U, K]`."""
        at_gold = gradient.reshape(self.gold.shape).to(self.log_rest.dtype).gather(-1, self.labels[..., None])
        return -at_gold.squeeze(-1) * self.counts[0] / self.log_rest.exp()


def target_probability(answer: Answer, labels: Tensor) -> Tensor:
    """Return the probability of the classes `labels [B, U]` at temperature 1, `[B, U]`."""
    return answer.choices.detached.gather(-1, labels[..., None]).squeeze(-1).exp()


def spread(values: NDArray[np.floating]) -> dict[str, float]:
    """Return mean, standard deviation, minimum, quartiles and maximum of `values [N]`, by name; NaN where N is 0."""
    names = ("mean", "std", "min", "lower_quartile", "median", "upper_quartile", "max")
    if not len(values):
        return dict.fromkeys(names, np.nan)
    exact = values.astype(np.float64)
    quantiles = np.quantile(exact, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return dict(zip(names, [float(exact.mean()), float(exact.std()), *quantiles], strict=True))


def correlations(factors: NDArray[np.floating], confidences: NDArray[np.floating]) -> dict[str, float]:
    """Return Pearson's and Spearman's correlation of factors with confidences, `[N]` each, by name.

    NaN where either does not vary. A few examples that the student is nearly certain of have factors so large that they
    alone decide Pearson's; Spearman's uses ranks.
    """
    from scipy.stats import pearsonr, spearmanr

    first, second = factors.astype(np.float64), confidences.astype(np.float64)
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return {"pearson": np.nan, "spearman": np.nan}
    return {"pearson": float(pearsonr(first, second)[0]), "spearman": float(spearmanr(first, second)[0])}


def _output_gradient(part: MicroBatch, weights: Tensor, columns: Sequence[int]) -> Tensor | None:
    """Return the gradient of some weighted losses with respect to the head's output; None where they do not read it.

    Only the graph from the losses back to the output is traversed, not the student.
    """
    if not columns:
        return None
    loss = torch.stack([part.losses[:, i] * weights[:, i] for i in columns]).sum()
    return torch.autograd.grad(loss, part.output, retain_graph=True, allow_unused=True)[0]
