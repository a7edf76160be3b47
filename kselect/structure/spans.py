"""Distributions over sets of non-overlapping labelled spans."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from kselect.structure.distribution import Distribution, exp, real_positions


class SpanSets(Distribution[Tensor]):
    """All sets of non-overlapping labelled spans; positions outside spans score 0."""

    def __init__(self, scores: Tensor, mask: Tensor) -> None:
        """Score the span sets of B sentences.

        Args:
            scores: score of the span from a first position to a last one, inclusive, with each label, `[B, n, n, R]`;
                not read if the last is before the first.
            mask: 1 on real positions, `[B, n]`; padding comes last.

        Raises:
            ValueError: shapes do not match, scores are not floating point numbers, or the mask has padding before real
                positions.
        """
        mask = real_positions(mask, scores)
        n = mask.size(1)
        if scores.dim() != 4 or scores.size(2) != n:
            raise ValueError(f"Scores of spans must be [B, {n}, {n}, R], not {list(scores.shape)}.")
        # A span ends within the sentence, at or after its first position. Labels are flattened, which is faster.
        forwards = torch.ones(n, n, dtype=torch.bool, device=mask.device).triu()
        spans = forwards.repeat_interleave(scores.size(3), 1) & mask.repeat_interleave(scores.size(3), 1)[:, None]
        masked = torch.where(spans.view(scores.shape), scores.double(), -torch.inf)
        super().__init__(mask, (masked,), masked.new_zeros(len(mask)), scores.dtype)

    @property
    def argmax(self) -> Tensor:
        """The most probable span sets, as bools for each span and label, `[B, n, n, R]`."""
        (scores,) = self._detached
        best, labels = scores.max(-1)
        batch, n, _ = best.shape
        values, origins = [best.new_zeros(batch)], []
        for end in range(n):
            ways = torch.stack([*values[:end], values[end]], 1) + best[:, : end + 1, end]
            value, origin = torch.cat([ways, values[end][:, None]], 1).max(1)
            values.append(value)
            origins.append(origin)  # the first position of the last span; `end` + 1 if no span covers `end`
        chosen = torch.zeros_like(scores, dtype=torch.bool)
        ends = torch.full((batch,), n, device=best.device)
        rows = torch.arange(batch, device=best.device)
        begins = torch.stack(origins, 1)
        for end in range(n - 1, -1, -1):
            here, begin = ends == end + 1, begins[:, end]
            spans = here & (begin <= end)
            at = (rows[spans], begin[spans], torch.full_like(begin[spans], end))
            chosen[(*at, labels[at])] = True
            ends = torch.where(spans, begin, torch.where(here, end, ends))
        return chosen

    def parts(self, structure: Tensor) -> Tensor:
        """Return the parts of span sets, given as bools for each span and label, `[B, n, n, R]`."""
        return structure.to(self.dtype)

    def tag_marginals(self) -> Tensor:
        """Return the marginals of BIOES tags, `[B, n, 1 + 4 R]`: O, then B, I, E and S of each label.

        Source: case 4 of Wang et al. (2021).
        """
        (marginals,) = self._marginals
        single = marginals.diagonal(dim1=1, dim2=2).transpose(1, 2)
        first, last = marginals.sum(2) - single, marginals.sum(1) - single
        # A position is inside a longer span that began before it and has not ended: both are cumulative sums. The first
        # and last positions are inside no span, and must not get a rounding error.
        between = torch.zeros_like(self.mask)
        between[:, 1:-1] = self.mask[:, 2:]
        inside = (first.cumsum(1) - first - last.cumsum(1)).clamp(min=0) * between[..., None]
        tags = torch.stack([first, inside, last, single], -1).flatten(2)
        tags = torch.cat([(1 - tags.sum(-1, keepdim=True)).clamp(min=0), tags], -1)
        return (tags * self.mask[..., None]).to(self.dtype)

    def _named(self, marginals: Iterable[Tensor]) -> Tensor:
        (spans,) = marginals
        return spans

    def _solve(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        (scores,) = self._detached
        value, marginals, sound = by_substitution(scores)
        if not bool(sound.all()):
            value[~sound], marginals[~sound] = in_logs(scores[~sound])
        return value, (marginals,)

    def _differentiable_marginals(self) -> tuple[Tensor, ...]:
        return (in_logs(*self._scores)[1],)


def by_substitution(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-partition, marginals and whether they are exact, `[B]`, from two triangular systems of equations.

    Consider the boundaries between positions. The weight of all paths from the first boundary to another one is the sum
    over earlier boundaries of the weight of the paths to them, times the weight of one step from there: a span, or an
    uncovered position of weight 1. This is a linear system with 1 on the diagonal and at most 0 above it, so that
    substitution only adds positive numbers.

    Since all positions may be uncovered, no sum is below 1, and the product of the sums before and after a span does
    not exceed the partition function, so that underflow does not matter. The result is inexact only if the partition
    function overflows.
    """
    weights = exp(scores)
    batch, n, _, labels = scores.shape
    steps = torch.nn.functional.pad(weights @ weights.new_ones(labels), (1, 0, 0, 1))
    steps.diagonal(1, 1, 2).add_(1.0)
    ends = torch.eye(n + 1, dtype=scores.dtype, device=scores.device).expand(batch, -1, -1)
    solve = partial(torch.linalg.solve_triangular, unitriangular=True)
    before = solve(-steps.mT, ends[..., :1], upper=False)[:, :-1]
    after = solve(-steps, ends[..., -1:], upper=True)
    total, after = after[:, 0, 0], after[:, 1:]
    around = (before / total[:, None, None]) @ after.mT
    return total.log(), weights * around[..., None], total.isfinite()


def in_logs(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-partition and marginals from sums, in log space, over paths before and after each boundary.

    Slow, always exact, and differentiable.
    """
    scores = scores.clamp(min=-1e300)  # replaces minus infinity, which has no gradient
    batch, n, _, _ = scores.shape
    spans = torch.logsumexp(scores, -1)
    ways = torch.stack([spans, spans.flip(1, 2).transpose(1, 2)])
    sums = [ways.new_zeros(2, batch)]
    for end in range(n):
        candidates = torch.stack(sums, -1) + ways[:, :, : end + 1, end]
        sums.append(torch.logsumexp(torch.cat([candidates, sums[end][..., None]], -1), -1))
    before, after = torch.stack(sums, -1)
    total = before[:, -1]
    covered = (before[:, :-1, None] + spans + after.flip(1)[:, None, 1:] - total[:, None, None]).exp()
    return total, covered[..., None] * (scores - spans[..., None]).exp()
