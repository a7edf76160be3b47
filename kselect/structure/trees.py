"""Dependency trees, non-projective ones included."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

from kselect.structure.arborescence import best_heads
from kselect.structure.distribution import Distribution, finite, real_positions

# Beyond this, arc probabilities by the inverse of a matrix are not taken on trust.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-9}


class DependencyTrees(Distribution[Tensor]):
    """Dependency trees with one root each, scored arc by arc.

    Head 0 of a token is the root, head h the h-th token, as in CoNLL-U.
    """

    def __init__(self, scores: Tensor, mask: Tensor) -> None:
        """Score the trees of B sentences.

        Args:
            scores: score of each head of each token, `[B, n, 1 + n]`: the root, then the tokens. A token's score as its
                own head is not read.
            mask: 1 on real tokens, `[B, n]`; padding comes last.

        Raises:
            ValueError: shapes that do not fit, scores that are no floating point numbers, or a mask with padding before
                real tokens.
        """
        mask = real_positions(mask, scores)
        n = mask.size(1)
        if scores.size(2) != n + 1:
            raise ValueError(f"Scores of arcs must be [B, {n}, {n + 1}], not {list(scores.shape)}.")
        tokens = mask[:, :, None] & mask[:, None] & ~torch.eye(n, dtype=torch.bool, device=mask.device)
        possible = torch.cat([mask[..., None], tokens], -1)
        kept = scores.double().masked_fill(~possible, -torch.inf)
        tops = finite(kept.detach().amax(-1, keepdim=True))
        super().__init__(mask, (kept - tops,), tops[..., 0].sum(1), scores.dtype)

    def parts(self, structure: Tensor) -> Tensor:
        """Return the arcs of trees, which say the head of each token, `[B, n]`; in padding, they are not read.

        Whether the heads make a tree is not asked.
        """
        heads = torch.where(self.mask, structure, 0)
        return torch.nn.functional.one_hot(heads, self.mask.size(1) + 1).to(self.dtype) * self.mask[..., None]

    def _named(self, marginals: Iterable[Tensor]) -> Tensor:
        (arcs,) = marginals
        return arcs


class NonProjectiveTrees(DependencyTrees):
    """All dependency trees with one root, crossing arcs allowed (Koo et al. 2007, McDonald and Satta 2007)."""

    @property
    def argmax(self) -> Tensor:
        """The head of each token in the most probable tree, `[B, n]`, 0 in padding."""
        return best_heads(self._detached[0], self.mask)

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


def by_inverse(scores: Tensor, mask: Tensor, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-partition, marginals and, `[B]`, whether they are sound, by the inverse of a Laplacian.

    Weights w are at most 1. The row of a dependent d has its sum of weights on the diagonal and -w(h, d) for its
    heads; the first column is replaced by the weights of the root, so that exactly one token hangs from it. The
    determinant is the partition function, and the inverse its gradient. How far the inverse can be off, its residual
    tells; where that is beyond the tolerance, the sums are not sound.
    """
    weights = scores.exp()
    matrix = _laplacian(weights, mask)
    inverse, info = torch.linalg.inv_ex(matrix)
    sign, value = torch.linalg.slogdet(matrix)
    marginals = _arcs(weights, inverse)

    with torch.no_grad():
        n = mask.size(1)
        identity = torch.eye(n, dtype=matrix.dtype, device=matrix.device)
        largest = inverse.abs().amax((1, 2))
        rounding = 2 * n * torch.finfo(matrix.dtype).eps * largest
        error = n * largest * ((matrix @ inverse - identity).abs().amax((1, 2)) + rounding)
        sound = (info == 0) & (sign > 0) & (error < tolerance)
    return value, marginals, sound


def matrix_tree(weights: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-partition `[B]` and marginals `[B, n, 1 + n]` by the inverse of a Laplacian, taken on trust.

    Args:
        weights: exp(score) of each head of each token, `[B, n, 1 + n]` in float64: the root, then the tokens; 0 where
            there is no arc.
        mask: True on real tokens, `[B, n]`.

    Where each token's weights add up to about 1, its root's included, and none is below ε, no entry of the inverse is
    above 1 / ε, and marginals are exact to about 1e-16 / ε. So nobody has to look whether they are sound.
    """
    matrix = _laplacian(weights, mask)
    inverse, _ = torch.linalg.inv_ex(matrix)
    return torch.linalg.slogdet(matrix).logabsdet, _arcs(weights, inverse)


def _laplacian(weights: Tensor, mask: Tensor) -> Tensor:
    root, tokens = weights[..., 0], weights[..., 1:]
    matrix = torch.diag_embed(tokens.sum(-1)) - tokens
    matrix = torch.cat([root[..., None], matrix[..., 1:]], -1)
    identity = torch.eye(mask.size(1), dtype=matrix.dtype, device=matrix.device)
    return torch.where(mask[..., None], matrix, identity)


def _arcs(weights: Tensor, inverse: Tensor) -> Tensor:
    """Return the probabilities of arcs, which are the gradient of the logarithm of a determinant."""
    root, tokens = weights[..., 0], weights[..., 1:]
    first = torch.arange(inverse.size(1), device=inverse.device) == 0
    own = inverse.diagonal(dim1=1, dim2=2).masked_fill(first, 0.0)
    marginals = tokens * (own[..., None] - inverse.transpose(1, 2).masked_fill(first, 0.0))
    return torch.cat([(root * inverse[:, 0])[..., None], marginals], -1).clamp(0, 1)


def by_elimination(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the log-partition, taking tokens out one by one in log space; never wrong, and differentiable.

    Whoever had the token taken out for its head gets that token's heads instead. Nothing is ever subtracted (Grassmann,
    Taksar and Heyman 1985), so that no digit is lost, whatever the scores. Tokens go in order of what the remaining
    ones offer them, which leaves for last what can only hang from the root.
    """
    lowest = -1e300  # stands for minus infinity, which has no gradient
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
        next_out = offers.detach().masked_fill(~left, -torch.inf).argmax(-1)
        several = left.sum(-1) > 1
        share = torch.where(several, offers[rows, next_out], root[rows, next_out])
        total = total + torch.where(left.any(-1), share, 0.0)
        onto = tokens[rows, :, next_out] - share[:, None]
        via = _either(tokens, onto[..., None] + tokens[rows, next_out][:, None])
        tokens = torch.where(several[:, None, None], via.clamp(min=lowest), tokens)
        root = torch.where(
            several[:, None], _either(root, onto + root[rows, next_out][:, None]).clamp(min=lowest), root
        )
        left = left & (torch.arange(n, device=mask.device) != next_out[:, None])
    return torch.where(total > lowest / 2, total, -torch.inf)


def _eliminated(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return marginals, differentiable where the scores are, and log-partition by elimination."""

    def total(scores: Tensor) -> tuple[Tensor, Tensor]:
        value = by_elimination(scores, mask)
        return value.clamp(min=-1e30).sum(), value

    marginals, (_, value) = torch.func.grad_and_value(total, has_aux=True)(scores)
    return marginals.clamp(0, 1), value


def _either(one: Tensor, other: Tensor) -> Tensor:
    """Return the log of a sum of exponentials; `logaddexp` has no second derivative where one is far less."""
    return torch.logsumexp(torch.stack([one, other]), 0)
