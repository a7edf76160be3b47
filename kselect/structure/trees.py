"""Distributions over dependency trees, and exact sums over non-projective ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kselect.structure.arborescence import best_tree
from kselect.structure.distribution import Distribution, exp, finite, real_positions

# Largest error allowed in marginals computed by a matrix inverse, by dtype of the result.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-9}
LARGEST_BATCHED = 128


class DependencyTrees(Distribution[Tensor]):
    """Base class of distributions over dependency trees with a single root, scored arc by arc.

    Head 0 of a token is the root, head h the h-th token, as in CoNLL-U.
    """

    def __init__(self, scores: Tensor, mask: Tensor) -> None:
        """Score the trees of B sentences.

        Args:
            scores: score of each head of each token, `[B, n, 1 + n]`: the root, then the tokens. A token's score as its
                own head is not read.
            mask: 1 on real tokens, `[B, n]`; padding comes last.

        Raises:
            ValueError: shapes do not match, scores are not floating point numbers, or the mask has padding before real
                tokens.
        """
        mask = real_positions(mask, scores)
        n = mask.size(1)
        if scores.dim() != 3 or scores.size(2) != n + 1:
            raise ValueError(f"Scores of arcs must be [B, {n}, {n + 1}], not {list(scores.shape)}.")
        tokens = mask[:, :, None] & mask[:, None] & ~torch.eye(n, dtype=torch.bool, device=mask.device)
        possible = torch.cat([mask[..., None], tokens], -1)
        masked = torch.where(possible, scores.double(), -torch.inf)
        tops = finite(masked.detach().amax(-1, keepdim=True))
        super().__init__(mask, (masked.sub_(tops),), tops[..., 0].sum(1), scores.dtype)

    def parts(self, structure: Tensor) -> Tensor:
        """Return the arcs of trees, given as the head of each token, `[B, n]`, which is not read in padding.

        Whether the heads form a tree is not checked.
        """
        heads = torch.where(self.mask, structure, 0)
        return torch.nn.functional.one_hot(heads, self.mask.size(1) + 1).to(self.dtype) * self.mask[..., None]

    def _named(self, marginals: Iterable[Tensor]) -> Tensor:
        (arcs,) = marginals
        return arcs


class NonProjectiveTrees(DependencyTrees):
    """All dependency trees with a single root, including those with crossing arcs.

    Source: matrix-tree theorem (Koo et al., 2007; McDonald and Satta, 2007).
    """

    @property
    def argmax(self) -> Tensor:
        """The head of each token in the most probable tree, `[B, n]`, 0 in padding."""
        return best_heads(self._detached[0], self.mask)

    def _covers(self, other: Distribution[Any]) -> bool:
        return isinstance(other, DependencyTrees)

    def _solve(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        value, marginals, sound, all_sound = self._inverted
        if not all_sound:
            value, marginals = value.clone(), marginals.clone()
            (scores,) = self._detached
            marginals[~sound], value[~sound] = _eliminated(scores[~sound], self.mask[~sound])
        return value, (marginals,)

    def _differentiable_marginals(self) -> tuple[Tensor, ...]:
        (scores,) = self._scores
        _, _, sound, all_sound = self._inverted
        if all_sound:
            return (by_inverse(scores, self.mask, self._tolerance)[1],)
        marginals = torch.zeros_like(scores)
        inverted = by_inverse(scores[sound], self.mask[sound], self._tolerance)[1]
        marginals = marginals.index_put((sound.nonzero()[:, 0],), inverted)
        eliminated = _eliminated(scores[~sound], self.mask[~sound])[0]
        return (marginals.index_put(((~sound).nonzero()[:, 0],), eliminated),)

    @cached_property
    def _inverted(self) -> tuple[Tensor, Tensor, Tensor, bool]:
        with torch.no_grad():
            value, marginals, sound = by_inverse(self._detached[0], self.mask, self._tolerance)
            return value, marginals, sound, bool(sound.all())

    @property
    def _tolerance(self) -> float:
        return TOLERANCE[self.dtype]


def best_heads(scores: Tensor, mask: Tensor) -> Tensor:
    """Return each token's head in the best tree with a single root, `[B, n]`, 0 in padding.

    Heads are arbitrary if no tree is possible.

    Args:
        scores: score of each head of each token, `[B, n, 1 + n]`: the root, then the tokens.
        mask: which tokens are real, `[B, n]`; padding comes last.
    """
    # One transfer to the host for the whole batch, and one back.
    tables = torch.cat([scores.double(), mask[..., None]], -1).cpu().numpy()
    heads = np.zeros(mask.shape, dtype=np.int64)
    for row, table in enumerate(tables):
        length = int(table[:, -1].sum())
        if length:
            heads[row, :length] = best_tree(table[:length, : length + 1])
    return torch.from_numpy(heads).to(mask.device)


def by_inverse(scores: Tensor, mask: Tensor, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-partition, marginals and whether they are exact, `[B]`, by the inverse of a Laplacian.

    Weights w are at most 1. The row of a dependent d has the sum of its weights on the diagonal and -w(h, d) for its
    heads; the first column is replaced by the weights of the root, so that exactly one token is attached to it. The
    determinant is the partition function, and the inverse gives its gradient. The residual of the inverse bounds its
    error; if that exceeds the tolerance, the result is not exact.
    """
    n = mask.size(1)
    weights = exp(scores)
    matrix, factors, pivots, info = _factorised(weights, mask)
    inverse = _inverse(factors, pivots)
    with torch.no_grad():
        swaps = (pivots != torch.arange(1, n + 1, device=pivots.device)).sum(-1)
        is_positive = ((factors.diagonal(dim1=1, dim2=2) < 0).sum(-1) + swaps) % 2 == 0
        largest = _largest(inverse)
        residual = _largest((matrix @ inverse).sub_(torch.eye(n, dtype=matrix.dtype, device=matrix.device)))
        rounding = 2 * n * torch.finfo(matrix.dtype).eps * largest
        sound = (info == 0) & is_positive & (n * largest * (residual + rounding) < tolerance)
    return _log_determinant(factors), _arcs(weights, inverse), sound


def matrix_tree(weights: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-partition `[B]` and marginals `[B, n, 1 + n]` by the inverse of a Laplacian, without checking it.

    If each token's weights, including that of the root, sum to about 1 and none is below ε, no entry of the inverse
    exceeds 1 / ε, and marginals are exact to about 1e-16 / ε. Then no check, and no synchronisation, is needed.

    Args:
        weights: exp(score) of each head of each token, `[B, n, 1 + n]` in float64: the root, then the tokens; 0 where
            there is no arc.
        mask: True on real tokens, `[B, n]`.
    """
    _, factors, pivots, _ = _factorised(weights, mask)
    return _log_determinant(factors), _arcs(weights, _inverse(factors, pivots))


def _factorised(weights: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the Laplacian, its LU factors with their pivots, and an error code `[B]`, 0 on success."""
    matrix = -weights[..., 1:]
    matrix[..., 0] = weights[..., 0]
    matrix.diagonal(dim1=1, dim2=2)[:, 1:] += weights[:, 1:, 1:].sum(-1)
    matrix.diagonal(dim1=1, dim2=2).add_(~mask)
    return matrix, *_lu(matrix)


def _lu(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return LU factors `[B, n, n]`, pivots `[B, n]` and an error code `[B]`, 0 on success.

    Factorising a batch of matrices with more than 150 rows on several CPU threads silently gives wrong factors
    (pytorch/pytorch#142815), so that large matrices are factorised one by one.
    """
    if matrix.device.type != "cpu" or matrix.size(-1) <= LARGEST_BATCHED or len(matrix) < 2:
        return torch.linalg.lu_factor_ex(matrix)
    factors, pivots, info = zip(*(torch.linalg.lu_factor_ex(each) for each in matrix), strict=True)
    return torch.stack(factors), torch.stack(pivots), torch.stack(info)


def _inverse(factors: Tensor, pivots: Tensor) -> Tensor:
    identity = torch.eye(factors.size(-1), dtype=factors.dtype, device=factors.device)
    return torch.linalg.lu_solve(factors, pivots, identity.expand_as(factors))


def _log_determinant(factors: Tensor) -> Tensor:
    return factors.diagonal(dim1=1, dim2=2).abs().log().sum(-1)


def _arcs(weights: Tensor, inverse: Tensor) -> Tensor:
    """Return the marginals of arcs: the gradient of the logarithm of the determinant."""
    own = torch.nn.functional.pad(inverse.diagonal(dim1=1, dim2=2)[:, 1:], (1, 0))
    shares = own[..., None] - inverse.mT
    shares[..., 0] = own
    root = (weights[..., 0] * inverse[:, 0])[..., None]
    return torch.cat([root, shares.mul_(weights[..., 1:])], -1).clamp_(0, 1)


def by_elimination(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the log-partition by eliminating tokens one by one in log space; always exact, and differentiable.

    Dependents of an eliminated token are attached to its heads instead. Nothing is ever subtracted, so that no digits
    are lost for any scores. Tokens are eliminated in order of their total weight from the remaining heads, so that
    tokens that can only be attached to the root come last.

    Source: Grassmann, Taksar and Heyman (1985).
    """
    lowest = -1e300  # replaces minus infinity, which has no gradient
    scores = scores.clamp(min=lowest)
    root, tokens = scores[..., 0], scores[..., 1:]
    batch, n = mask.shape
    own = torch.eye(n, dtype=torch.bool, device=mask.device)
    left = mask.clone()
    total = scores.new_zeros(batch)
    rows = torch.arange(batch, device=mask.device)
    for _ in range(n):
        tokens = tokens.masked_fill(own | ~left[:, None], lowest)
        offers = torch.logsumexp(tokens, -1)
        eliminated = offers.detach().masked_fill(~left, -torch.inf).argmax(-1)
        several = left.sum(-1) > 1
        share = torch.where(several, offers[rows, eliminated], root[rows, eliminated])
        total = total + torch.where(left.any(-1), share, 0.0)
        onto = tokens[rows, :, eliminated] - share[:, None]
        via = _log_add(tokens, onto[..., None] + tokens[rows, eliminated][:, None])
        tokens = torch.where(several[:, None, None], via.clamp(min=lowest), tokens)
        root = torch.where(
            several[:, None], _log_add(root, onto + root[rows, eliminated][:, None]).clamp(min=lowest), root
        )
        left = left & (torch.arange(n, device=mask.device) != eliminated[:, None])
    return torch.where(total > lowest / 2, total, -torch.inf)


def _eliminated(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return marginals, differentiable if the scores are, and log-partition by elimination."""

    def total(scores: Tensor) -> tuple[Tensor, Tensor]:
        value = by_elimination(scores, mask)
        return value.clamp(min=-1e30).sum(), value

    marginals, (_, value) = torch.func.grad_and_value(total, has_aux=True)(scores)
    return marginals.clamp(0, 1), value


def _largest(matrix: Tensor) -> Tensor:
    """Return the largest absolute value, `[B]`, without allocating a matrix."""
    return torch.maximum(matrix.amax((1, 2)), -matrix.amin((1, 2)))


def _log_add(a: Tensor, b: Tensor) -> Tensor:
    """Return log(exp(a) + exp(b)); `logaddexp` has no second derivative where one is much smaller."""
    return torch.logsumexp(torch.stack([a, b]), 0)
