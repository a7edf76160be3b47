"""What all distributions over structures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Generic, TypeVar

import torch
from torch import Tensor

Marginals = TypeVar("Marginals")


class Distribution(ABC, Generic[Marginals]):
    """A distribution over structures, one of each of B sentences; p(y) goes as exp of the sum of its parts' scores.

    Scores may be anything from minus infinity upwards; a part of minus infinity is impossible. Where no structure is
    possible at all, the log-partition is minus infinity and all marginals are 0.

    Attributes:
        shift: what was taken off the score of every structure of a sentence beforehand, `[B]`. Scores are kept centred,
            so that differences between large ones are not lost to rounding.
    """

    shift: Tensor

    @property
    def log_partition(self) -> Tensor:
        """Log of the sum over all structures of exp(score), `[B]`; its gradient in the scores is the marginals."""
        return self._centred_log_partition() + self.shift

    @property
    def marginals(self) -> Marginals:
        """Probability of each part, differentiable where the scores are."""
        return self._differentiable_marginals() if self._wants_gradient() else self._solved[1]

    def expected_score(self, marginals: Marginals) -> Tensor:
        """Return the mean score `[B]` of structures whose parts have these marginals."""
        return self._centred_expected_score(marginals) + self.shift

    @property
    def entropy(self) -> Tensor:
        """Entropy in nats, `[B]`."""
        return cross_entropy(self, self)

    def _centred_log_partition(self) -> Tensor:
        value, marginals = self._solved
        if not self._wants_gradient():
            return value
        # Nothing need be differentiated through the recursions: what has the marginals for its gradient is the expected
        # score under them.
        carrier = self._centred_expected_score(marginals)
        return value + (carrier - carrier.detach())

    @cached_property
    def _solved(self) -> tuple[Tensor, Marginals]:
        with torch.no_grad():
            return self._solve()

    def _wants_gradient(self) -> bool:
        return torch.is_grad_enabled() and any(scores.requires_grad for scores in self._scores())

    @abstractmethod
    def _scores(self) -> tuple[Tensor, ...]: ...

    @abstractmethod
    def _solve(self) -> tuple[Tensor, Marginals]: ...

    @abstractmethod
    def _differentiable_marginals(self) -> Marginals: ...

    @abstractmethod
    def _centred_expected_score(self, marginals: Marginals) -> Tensor: ...


def cross_entropy(p: Distribution[Marginals], q: Distribution[Marginals]) -> Tensor:
    """Return - sum over y of p(y) log q(y), `[B]` in nats, for distributions over the same structures."""
    return cross_entropy_of(p.marginals, q)


def cross_entropy_of(marginals: Marginals, q: Distribution[Marginals]) -> Tensor:
    """Return the cross-entropy `[B]` in nats of q under any distribution with these marginals of q's parts.

    There are exponentially many structures, but nothing else of that distribution enters the sum: it is q's
    log-partition less its expected score (Wang et al. 2021, eq. 4).
    """
    return q._centred_log_partition() - q._centred_expected_score(marginals)


def kl(p: Distribution[Marginals], q: Distribution[Marginals]) -> Tensor:
    """Return the divergence of q from p, `[B]` in nats."""
    return cross_entropy(p, q) - p.entropy


def weighed(weights: Tensor, scores: Tensor) -> Tensor:
    """Return weights times scores, where a weight of 0 outweighs a score of minus infinity."""
    return weights * torch.where(weights == 0, 0.0, scores)


def finite(tops: Tensor) -> Tensor:
    """Return the largest scores, or 0 where all are minus infinity and there is nothing to centre by."""
    return torch.where(tops.isfinite(), tops, 0.0)
