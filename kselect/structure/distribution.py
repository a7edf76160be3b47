"""Base class of distributions over structures, and divergences between them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

LOG2_E = math.log2(math.e)

Marginals = TypeVar("Marginals", bound="Tensor | tuple[Tensor, ...]")


class Distribution(ABC, Generic[Marginals]):
    """A distribution over the structures of each of B sentences; p(y) is proportional to exp of its parts' total score.

    Scores may be any number, or minus infinity for an impossible part. If no structure of a sentence is possible, its
    log-partition is minus infinity, and its marginals and entropy are 0.

    Scores may have any floating point dtype. Everything is summed in float64, and results have the dtype of the scores,
    or float32 for half precision. Autocast has no effect.

    On an accelerator, the host synchronises once, to find the sentences for which the fast summation was inexact. A
    mask on the accelerator costs another synchronisation to check it; a mask on the CPU does not.

    Attributes:
        mask: which positions are real, `[B, n]`.
        dtype: dtype of results.
        shift: amount subtracted from the score of every structure of a sentence, `[B]`, so that differences between
            large scores are not lost to rounding.
    """

    def __init__(self, mask: Tensor, scores: tuple[Tensor, ...], shift: Tensor, dtype: torch.dtype) -> None:
        """Store the scores of parts, in float64 and after subtracting the shift; one tensor for each kind of part."""
        self.mask = mask
        self.shift = shift
        self.dtype = torch.promote_types(dtype, torch.float32)
        self._scores = scores

    @property
    def log_partition(self) -> Tensor:
        """Log of the sum over structures of exp(score), `[B]`; its gradient with respect to scores is the marginals."""
        return (self._log_partition + self.shift).to(self.dtype)

    @property
    def marginals(self) -> Marginals:
        """Probability of each part, differentiable where the scores are."""
        return self._named(marginals.to(self.dtype) for marginals in self._marginals)

    @property
    def entropy(self) -> Tensor:
        """Entropy in nats, `[B]`."""
        return cross_entropy(self, self)

    @property
    @abstractmethod
    def argmax(self) -> Tensor:
        """The most probable structure of each sentence, in the form that `parts` takes."""

    @abstractmethod
    def parts(self, structure: Tensor) -> Marginals:
        """Return the parts of one structure of each sentence: the marginals of a distribution certain of it."""

    def score(self, structure: Tensor) -> Tensor:
        """Return the total score `[B]` of the parts of one structure of each sentence.

        Whether the structure is valid, such as a tree without cycles, is not checked.
        """
        return self.expected_score(self.parts(structure))

    def log_prob(self, structure: Tensor) -> Tensor:
        """Return the log-probability `[B]` of one structure of each sentence, which is not checked for validity."""
        return -cross_entropy_of(self.parts(structure), self)

    def expected_score(self, marginals: Marginals) -> Tensor:
        """Return the expected score `[B]` of structures whose parts have these marginals."""
        return (self._expected_score(_tensors(marginals)) + self.shift).to(self.dtype)

    @property
    def _log_partition(self) -> Tensor:
        value, marginals = self._solved
        log_partition: Tensor = _LogPartition.apply(self, value, *marginals, *self._scores)
        return log_partition

    @property
    def _marginals(self) -> tuple[Tensor, ...]:
        return self._differentiable_marginals() if self._is_differentiated() else self._solved[1]

    def _expected_score(self, marginals: tuple[Tensor, ...]) -> Tensor:
        return sum_of(total_of(each, scores) for each, scores in zip(marginals, self._scores, strict=True))

    def _covers(self, other: Distribution[Any]) -> bool:
        """Return whether every structure of `other` is a structure of this distribution."""
        return isinstance(other, type(self))

    @property
    def _is_possible(self) -> Tensor:
        return self._solved[0] > -torch.inf

    @cached_property
    def _solved(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.no_grad():
            return self._solve()

    def _solve_together(self, other: Distribution[Marginals]) -> None:
        """Solve both at once if that is faster; otherwise each is solved when it is first needed."""

    @property
    def _is_solved(self) -> bool:
        return "_solved" in self.__dict__

    @property
    def _detached(self) -> tuple[Tensor, ...]:
        return tuple(scores.detach() for scores in self._scores)

    def _is_differentiated(self) -> bool:
        """Return whether the scores are differentiated, in reverse or forward mode."""
        if torch.is_grad_enabled() and any(scores.requires_grad for scores in self._scores):
            return True
        return any(forward_ad.unpack_dual(scores).tangent is not None for scores in self._scores)

    @abstractmethod
    def _named(self, marginals: Iterable[Tensor]) -> Marginals: ...

    @abstractmethod
    def _solve(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return log-partition and marginals of the detached scores, by the fastest method that is exact."""

    @abstractmethod
    def _differentiable_marginals(self) -> tuple[Tensor, ...]: ...


def cross_entropy(p: Distribution[Marginals], q: Distribution[Marginals]) -> Tensor:
    """Return - sum over y of p(y) log q(y), `[B]` in nats, for distributions over the same structures.

    It is infinite if p has mass on structures that are impossible under q, and 0 if no structure is possible under p.

    Raises:
        TypeError: p has structures that q does not have. Projective trees are a subset of non-projective ones.
    """
    _check_covered(p, q)
    p._solve_together(q)
    return torch.where(p._is_possible, _cross_entropy(p._marginals, q), 0.0).to(q.dtype)


def cross_entropy_of(marginals: Marginals, q: Distribution[Marginals]) -> Tensor:
    """Return the cross-entropy `[B]` in nats of q under any distribution with these marginals of q's parts.

    It is q's log-partition minus its expected score, which depends on the other distribution only through its
    marginals. It is infinite if no structure is possible under q.

    Source: structural distillation (Wang et al., 2021).
    """
    return _cross_entropy(_tensors(marginals), q).to(q.dtype)


def kl(p: Distribution[Marginals], q: Distribution[Marginals]) -> Tensor:
    """Return the Kullback-Leibler divergence KL(p || q), `[B]` in nats; infinite or 0 where `cross_entropy` is.

    Differences of scores are summed, so that small divergences are not lost in the rounding of large entropies.

    Raises:
        TypeError: p has structures that q does not have.
    """
    _check_covered(p, q)
    p._solve_together(q)
    scores = zip(p._scores, q._scores, strict=True)
    gains = (torch.where(p_scores > -torch.inf, q_scores - p_scores, 0.0) for p_scores, q_scores in scores)
    gained = sum_of(total_of(marginals, gain) for marginals, gain in zip(p._marginals, gains, strict=True))
    divergence = torch.where(q._is_possible, q._log_partition - p._log_partition - gained, torch.inf)
    return torch.where(p._is_possible, divergence, 0.0).to(q.dtype)


def _check_covered(p: Distribution[Any], q: Distribution[Any]) -> None:
    if not q._covers(p):
        raise TypeError(
            f"p, {type(p).__name__}, has structures that q, {type(q).__name__}, does not have: use one kind for both."
        )


def real_positions(mask: Tensor, scores: Tensor) -> Tensor:
    """Return the mask as bools on the device of the scores `[B, n, ...]`.

    Raises:
        ValueError: scores are not floating point numbers, the mask is not `[B, n]`, or it has padding before real
            positions.
    """
    if not scores.is_floating_point():
        raise ValueError(f"Scores must be floating point numbers, not {scores.dtype}: use scores.float().")
    if mask.shape != scores.shape[:2]:
        raise ValueError(f"Scores {list(scores.shape)} need a mask {list(scores.shape[:2])}, not {list(mask.shape)}.")
    mask = mask.bool()
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError("The mask has padding before real positions: move it to the end.")
    return mask.to(scores.device)


def weighted(weights: Tensor, scores: Tensor) -> Tensor:
    """Return weights times scores, with 0 times minus infinity as 0."""
    return weights * torch.where((weights == 0) & (scores == -torch.inf), 0.0, scores)


def exp(scores: Tensor) -> Tensor:
    """Return exponentials by powers of two, which take half the time on a CPU, or a third if many are 0.

    The factor is rounded, which changes e^s by at most |s| units in the last place.
    """
    return (scores * LOG2_E).exp2_()


def total_of(weights: Tensor, scores: Tensor) -> Tensor:
    """Return the sums `[B]` of `weighted`; scores may be without a batch axis, shared by all sentences."""
    if scores.dim() == weights.dim():
        return weighted(weights, scores).flatten(1).sum(1)
    weights, scores = weights.flatten(1).to(scores.dtype), scores.flatten()
    impossible = scores == -torch.inf
    total = weights @ torch.where(impossible, 0.0, scores)
    return torch.where(weights @ impossible.to(scores.dtype) == 0, total, -torch.inf)


def sum_of(sums: Iterable[Tensor]) -> Tensor:
    """Add the sums `[B]` of all kinds of parts."""
    first, *others = sums
    return sum(others, first)


def finite(tops: Tensor) -> Tensor:
    """Replace infinite maxima of scores by 0, so that they can be subtracted."""
    return tops.nan_to_num(0.0, 0.0, 0.0)


class _LogPartition(torch.autograd.Function):
    """The log-partition with the marginals as its gradient, without differentiating through recursions.

    Only for second derivatives are the marginals computed again in a differentiable way.
    """

    @staticmethod
    def forward(_: Distribution[Any], value: Tensor, *others: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.distribution, _, *others = inputs
        marginals, scores = others[: len(others) // 2], others[len(others) // 2 :]
        ctx.shapes = [each.shape for each in scores]
        ctx.save_for_backward(*marginals)
        ctx.save_for_forward(*marginals)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        marginals = ctx.distribution._differentiable_marginals() if torch.is_grad_enabled() else ctx.saved_tensors
        gradients = (
            each * gradient.view(-1, *[1] * (each.dim() - 1))
            if shape == each.shape
            else (gradient @ each.flatten(1)).view(shape)
            for each, shape in zip(marginals, ctx.shapes, strict=True)
        )
        return (None, None, *(None for _ in ctx.shapes), *gradients)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        of_scores = tangents[2 + len(ctx.shapes) :]
        pairs = zip(ctx.saved_tensors, of_scores, strict=True)
        return sum_of((each * tangent).flatten(1).sum(1) for each, tangent in pairs if tangent is not None)


def _cross_entropy(marginals: tuple[Tensor, ...], q: Distribution[Any]) -> Tensor:
    return torch.where(q._is_possible, q._log_partition - q._expected_score(marginals), torch.inf)


def _tensors(marginals: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return marginals if isinstance(marginals, tuple) else (marginals,)
