"""What all distributions over structures have in common."""

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
    """A distribution over structures, one of each of B sentences; p(y) goes as exp of the sum of its parts' scores.

    Scores may be anything from minus infinity upwards; a part of minus infinity is impossible. Where no structure is
    possible at all, the log-partition is minus infinity, and all marginals and the entropy are 0.

    Scores may be of any floating point type; everything is summed in float64, and what comes out is in the type of the
    scores, but float32 if that is a half. Autocasting is of no effect.

    On an accelerator, the host waits for it once: to learn in which sentences the fast way to the sums was too coarse.
    Where the mask lies there as well, checking it is another wait; one on the CPU spares that.

    Attributes:
        mask: which positions are real, `[B, n]`.
        dtype: of what comes out.
        shift: what was taken off the score of every structure of a sentence beforehand, `[B]`, lest differences between
            large ones be lost to rounding.
    """

    def __init__(self, mask: Tensor, scores: tuple[Tensor, ...], shift: Tensor, dtype: torch.dtype) -> None:
        """Keep the scores of parts, in float64 and less the shift; one tensor for each kind of part."""
        self.mask = mask
        self.shift = shift
        self.dtype = torch.promote_types(dtype, torch.float32)
        self._scores = scores

    @property
    def log_partition(self) -> Tensor:
        """Log of the sum over all structures of exp(score), `[B]`; its gradient in the scores is the marginals."""
        return (self._log_partition + self.shift).to(self.dtype)

    @property
    def marginals(self) -> Marginals:
        """Probability of each part, differentiable where the scores are."""
        return self._named(found.to(self.dtype) for found in self._marginals)

    @property
    def entropy(self) -> Tensor:
        """Entropy in nats, `[B]`."""
        return cross_entropy(self, self)

    @property
    @abstractmethod
    def argmax(self) -> Tensor:
        """The most probable structure of each sentence, as `parts` takes it."""

    @abstractmethod
    def parts(self, structure: Tensor) -> Marginals:
        """Return the parts of one structure of each sentence: the marginals of what is sure to be that one."""

    def score(self, structure: Tensor) -> Tensor:
        """Return the score `[B]` of one structure of each sentence, as `parts` takes it: what its parts add up to.

        Whether it is a structure of this kind, such as a tree without a cycle, is not asked.
        """
        return self.expected_score(self.parts(structure))

    def log_prob(self, structure: Tensor) -> Tensor:
        """Return the log-probability `[B]` of one structure of each sentence, which is not checked, as by `score`."""
        return -cross_entropy_of(self.parts(structure), self)

    def expected_score(self, marginals: Marginals) -> Tensor:
        """Return the mean score `[B]` of structures whose parts have these marginals."""
        return (self._expected_score(_tensors(marginals)) + self.shift).to(self.dtype)

    @property
    def _log_partition(self) -> Tensor:
        value, marginals = self._solved
        found: Tensor = _LogPartition.apply(self, value, *marginals, *self._scores)
        return found

    @property
    def _marginals(self) -> tuple[Tensor, ...]:
        return self._differentiable_marginals() if self._is_differentiated() else self._solved[1]

    def _expected_score(self, marginals: tuple[Tensor, ...]) -> Tensor:
        return sum_of(total_of(found, scores) for found, scores in zip(marginals, self._scores, strict=True))

    def _covers(self, other: Distribution[Any]) -> bool:
        """Whether every structure of another distribution is one of its own."""
        return isinstance(other, type(self))

    @property
    def _is_possible(self) -> Tensor:
        return self._solved[0] > -torch.inf

    @cached_property
    def _solved(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.no_grad():
            return self._solve()

    def _solve_beside(self, other: Distribution[Marginals]) -> None:
        """Solve both at once, if that is quicker; each is solved when it is asked for anyway."""

    @property
    def _is_solved(self) -> bool:
        return "_solved" in self.__dict__

    @property
    def _detached(self) -> tuple[Tensor, ...]:
        return tuple(scores.detach() for scores in self._scores)

    def _is_differentiated(self) -> bool:
        """Whether anyone follows the scores, backwards or forwards."""
        if torch.is_grad_enabled() and any(scores.requires_grad for scores in self._scores):
            return True
        return any(forward_ad.unpack_dual(scores).tangent is not None for scores in self._scores)

    @abstractmethod
    def _named(self, marginals: Iterable[Tensor]) -> Marginals: ...

    @abstractmethod
    def _solve(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return log-partition and marginals of the detached scores, as fast as may be."""

    @abstractmethod
    def _differentiable_marginals(self) -> tuple[Tensor, ...]: ...


def cross_entropy(p: Distribution[Marginals], q: Distribution[Marginals]) -> Tensor:
    """Return - sum over y of p(y) log q(y), `[B]` in nats, for distributions over the same structures.

    It is infinite where p has mass on what is impossible under q, and 0 where nothing is possible under p.

    Raises:
        TypeError: p has structures that q does not have; all projective trees are among the non-projective ones.
    """
    _check_covered(p, q)
    p._solve_beside(q)
    return torch.where(p._is_possible, _crossed(p._marginals, q), 0.0).to(q.dtype)


def cross_entropy_of(marginals: Marginals, q: Distribution[Marginals]) -> Tensor:
    """Return the cross-entropy `[B]` in nats of q under any distribution with these marginals of q's parts.

    There are exponentially many structures, but nothing else of that distribution enters the sum: it is q's
    log-partition less its expected score (Wang et al. 2021, eq. 4). It is infinite where nothing is possible under q.
    """
    return _crossed(_tensors(marginals), q).to(q.dtype)


def kl(p: Distribution[Marginals], q: Distribution[Marginals]) -> Tensor:
    """Return the divergence of q from p, `[B]` in nats; infinite and 0 as `cross_entropy` is.

    The scores are subtracted part by part and what is left is summed, which does not lose small divergences in the
    rounding of large entropies.

    Raises:
        TypeError: as `cross_entropy` does.
    """
    _check_covered(p, q)
    p._solve_beside(q)
    scores = zip(p._scores, q._scores, strict=True)
    gains = (torch.where(one > -torch.inf, other - one, 0.0) for one, other in scores)
    gained = sum_of(total_of(found, gain) for found, gain in zip(p._marginals, gains, strict=True))
    found = torch.where(q._is_possible, q._log_partition - p._log_partition - gained, torch.inf)
    return torch.where(p._is_possible, found, 0.0).to(q.dtype)


def _check_covered(p: Distribution[Any], q: Distribution[Any]) -> None:
    if not q._covers(p):
        raise TypeError(
            f"p, {type(p).__name__}, has structures that q, {type(q).__name__}, does not have: give two of one kind."
        )


def real_positions(mask: Tensor, scores: Tensor) -> Tensor:
    """Return the mask as bools where the scores `[B, n, ...]` lie.

    Raises:
        ValueError: scores that are no floating point numbers, a mask that is not `[B, n]` or in which padding comes
            before real positions.
    """
    if not scores.is_floating_point():
        raise ValueError(f"Scores must be floating point numbers, not {scores.dtype}: use scores.float().")
    if mask.shape != scores.shape[:2]:
        raise ValueError(f"Scores {list(scores.shape)} want a mask {list(scores.shape[:2])}, not {list(mask.shape)}.")
    mask = mask.bool()
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError("The mask has padding before real positions: move it to the end.")
    return mask.to(scores.device)


def weighed(weights: Tensor, scores: Tensor) -> Tensor:
    """Return weights times scores, where a weight of 0 outweighs a score of minus infinity."""
    return weights * torch.where((weights == 0) & (scores == -torch.inf), 0.0, scores)


def exp(scores: Tensor) -> Tensor:
    """Return the exponentials, by powers of two: on a CPU these take half of the time, a third where many are 0.

    The factor is rounded, by which a weight e^s is off by no more than |s| last bits of its own.
    """
    return (scores * LOG2_E).exp2_()


def total_of(weights: Tensor, scores: Tensor) -> Tensor:
    """Return the sums `[B]` of weights times scores, which may be the same for the whole batch, as `weighed` has it."""
    if scores.dim() == weights.dim():
        return weighed(weights, scores).flatten(1).sum(1)
    weights, scores = weights.flatten(1).to(scores.dtype), scores.flatten()
    impossible = scores == -torch.inf
    total = weights @ torch.where(impossible, 0.0, scores)
    return torch.where(weights @ impossible.to(scores.dtype) == 0, total, -torch.inf)


def sum_of(sums: Iterable[Tensor]) -> Tensor:
    """Return the sum of the sums `[B]` of all kinds of parts."""
    first, *others = sums
    return sum(others, first)


def finite(tops: Tensor) -> Tensor:
    """Return the largest scores, or 0 where all are minus infinity and there is nothing to centre by."""
    return tops.nan_to_num(0.0, 0.0, 0.0)


class _LogPartition(torch.autograd.Function):
    """The log-partition, whose gradient is known to be the marginals: nothing is differentiated through recursions.

    Only if that gradient is itself to be differentiated, are the marginals summed again in a way that can be.
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
            found * gradient.view(-1, *[1] * (found.dim() - 1))
            if shape == found.shape
            else (gradient @ found.flatten(1)).view(shape)
            for found, shape in zip(marginals, ctx.shapes, strict=True)
        )
        return (None, None, *(None for _ in ctx.shapes), *gradients)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        of_scores = tangents[2 + len(ctx.shapes) :]
        pairs = zip(ctx.saved_tensors, of_scores, strict=True)
        return sum_of((found * tangent).flatten(1).sum(1) for found, tangent in pairs if tangent is not None)


def _crossed(marginals: tuple[Tensor, ...], q: Distribution[Any]) -> Tensor:
    return torch.where(q._is_possible, q._log_partition - q._expected_score(marginals), torch.inf)


def _tensors(marginals: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return marginals if isinstance(marginals, tuple) else (marginals,)
