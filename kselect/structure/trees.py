"""Dependency trees, non-projective ones included."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from kselect.structure.arborescence import best_heads
from kselect.structure.distribution import Distribution, finite, weighed

# Beyond this, arc probabilities by the inverse of a matrix are not taken on trust.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-9}


class ArcScores(Distribution[Tensor]):
    """Dependency trees with one root each, scored arc by arc.

    Attributes:
        scores: of each token's possible heads, centred, `[B, n, 1 + n]`; head 0 is the root, head h the h-th token,
            as in CoNLL-U.
        mask: which tokens are real, `[B, n]`.
    """

    def __init__(self, scores: Tensor, mask: Tensor) -> None:
        """Score the trees of B sentences.

        Args:
            scores: score of each head of each token, `[B, n, 1 + n]`, float32 or float64: the root, then the tokens. A
                token's score as its own head is not read.
            mask: 1 on real tokens, `[B, n]`; padding comes last.

        Raises:
            ValueError: shapes that do not fit.
        """
        batch, n, heads = scores.shape
        if heads != n + 1 or mask.shape != (batch, n):
            raise ValueError(f"Arc scores {list(scores.shape)} want {n + 1} heads and a mask [{batch}, {n}].")
        self.mask = mask.bool()
        tokens = self.mask[:, :, None] & self.mask[:, None] & ~torch.eye(n, dtype=torch.bool, device=mask.device)
        possible = torch.cat([self.mask[..., None], tokens], -1)
        scores = scores.masked_fill(~possible, -torch.inf)
        tops = finite(scores.detach().amax(-1, keepdim=True))
        self.scores = scores - tops
        self.shift = tops[..., 0].sum(1)

    def _scores(self) -> tuple[Tensor, ...]:
        return (self.scores,)

    def _centred_expected_score(self, marginals: Tensor) -> Tensor:
        return weighed(marginals, self.scores).sum((1, 2))


class Trees(ArcScores):
    """All dependency trees with one root, crossing arcs allowed (Koo et al. 2007, McDonald and Satta 2007)."""

    @property
    def argmax(self) -> Tensor:
        """The head of each token in the most probable tree, `[B, n]`, 0 in padding."""
        return best_heads(self.scores.detach(), self.mask)

    def _solve(self) -> tuple[Tensor, Tensor]:
        value, marginals, sound = self._inverted
        if not bool(sound.all()):
            value, marginals = value.clone(), marginals.clone()
            value[~sound], marginals[~sound] = self._by_elimination(~sound)
        return value, marginals

    def _differentiable_marginals(self) -> Tensor:
        sound = self._inverted[2]
        marginals = torch.zeros_like(self.scores)
        if bool(sound.any()):
            found = by_inverse(self.scores[sound], self.mask[sound])[1]
            marginals = marginals.index_put((sound.nonzero()[:, 0],), found)
        if not bool(sound.all()):
            found = self._by_elimination(~sound)[1]
            marginals = marginals.index_put(((~sound).nonzero()[:, 0],), found)
        return marginals

    @cached_property
    def _inverted(self) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            return by_inverse(self.scores, self.mask)

    def _by_elimination(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            scores = self.scores[rows] if wanted else self.scores[rows].detach().requires_grad_()
            value = by_elimination(scores, self.mask[rows])
            (marginals,) = torch.autograd.grad(value.clamp(min=-1e30).sum(), scores, create_graph=wanted)
        return value.detach().to(scores.dtype), marginals.clamp(0, 1)


def by_inverse(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-partition, marginals and, `[B]`, whether they are sound, by the inverse of a Laplacian in float64.

    Weights w are at most 1. The row of a dependent d has its sum of weights on the diagonal and -w(h, d) for its
    heads; the first column is replaced by the weights of the root, so that exactly one token hangs from it. The
    determinant is the partition function, and the inverse its gradient. How far the inverse can be off, its residual
    tells.
    """
    weights = scores.double().exp()
    n = mask.size(1)
    root, tokens = weights[..., 0], weights[..., 1:]
    matrix = torch.diag_embed(tokens.sum(-1)) - tokens
    matrix = torch.cat([root[..., None], matrix[..., 1:]], -1)
    identity = torch.eye(n, dtype=matrix.dtype, device=matrix.device)
    matrix = torch.where(mask[..., None], matrix, identity)
    inverse, info = torch.linalg.inv_ex(matrix)
    sign, value = torch.linalg.slogdet(matrix)

    first = torch.arange(n, device=mask.device) == 0
    own = inverse.diagonal(dim1=1, dim2=2).masked_fill(first, 0.0)
    marginals = tokens * (own[..., None] - inverse.transpose(1, 2).masked_fill(first, 0.0))
    marginals = torch.cat([(root * inverse[:, 0])[..., None], marginals], -1)

    with torch.no_grad():
        largest = inverse.abs().amax((1, 2))
        rounding = 2 * n * torch.finfo(matrix.dtype).eps * largest
        error = n * largest * ((matrix @ inverse - identity).abs().amax((1, 2)) + rounding)
        sound = (info == 0) & (sign > 0) & (error < TOLERANCE[scores.dtype])
    return value.to(scores.dtype), marginals.clamp(0, 1).to(scores.dtype), sound


def by_elimination(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the log-partition, taking tokens out one by one in log space; never wrong, and differentiable.

    Whoever had the token taken out for its head gets that token's heads instead. Nothing is ever subtracted (Grassmann,
    Taksar and Heyman 1985), so that no digit is lost, whatever the scores. Tokens go in order of what the remaining
    ones offer them, which leaves for last what can only hang from the root.
    """
    lowest = -1e300  # stands for minus infinity, which has no gradient
    scores = scores.double().clamp(min=lowest)
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


def _either(one: Tensor, other: Tensor) -> Tensor:
    """Return the log of a sum of exponentials; `logaddexp` has no second derivative where one is far less."""
    return torch.logsumexp(torch.stack([one, other]), 0)
