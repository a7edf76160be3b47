"""Sets of labelled spans that do not overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from kselect.structure.distribution import Distribution, weighed


class SpanSets(Distribution[Tensor]):
    """All sets of labelled spans that do not overlap; what no span covers scores 0."""

    def __init__(self, scores: Tensor, mask: Tensor) -> None:
        """Score the span sets of B sentences.

        Args:
            scores: score of the span from a first position to a last one, inclusive, under each label, `[B, n, n, R]`,
                float32 or float64; where the last is before the first, they are not read.
            mask: 1 on real positions, `[B, n]`; padding comes last.

        Raises:
            ValueError: shapes that do not fit.
        """
        batch, n, last, _ = scores.shape
        if last != n or mask.shape != (batch, n):
            raise ValueError(f"Scores {list(scores.shape)} want a mask [{batch}, {n}], not {list(mask.shape)}.")
        self.mask = mask.bool()
        spans = (
            torch.ones(n, n, dtype=torch.bool, device=mask.device).triu() & self.mask[:, None] & self.mask[:, :, None]
        )
        self.scores = scores.masked_fill(~spans[..., None], -torch.inf)
        self.shift = scores.new_zeros(batch)

    @property
    def argmax(self) -> Tensor:
        """The most probable span sets, as a bool for each possible span and label, `[B, n, n, R]`."""
        best, labels = self.scores.detach().max(-1)
        batch, n, _ = best.shape
        values, origins = [best.new_zeros(batch)], []
        for end in range(n):
            ways = torch.stack([*values[:end], values[end]], 1) + best[:, : end + 1, end]
            value, origin = torch.cat([ways, values[end][:, None]], 1).max(1)
            values.append(value)
            origins.append(origin)  # where the last span began; one after the end if nothing covers it
        found = torch.zeros_like(self.scores, dtype=torch.bool)
        ends = torch.full((batch,), n, device=best.device)
        rows = torch.arange(batch, device=best.device)
        begins = torch.stack(origins, 1)
        for end in range(n - 1, -1, -1):
            here, begin = ends == end + 1, begins[:, end]
            spans = here & (begin <= end)
            at = (rows[spans], begin[spans], torch.full_like(begin[spans], end))
            found[(*at, labels[at])] = True
            ends = torch.where(spans, begin, torch.where(here, end, ends))
        return found

    def tag_marginals(self) -> Tensor:
        """Return how probable each BIOES tag is, `[B, n, 1 + 4 R]`: O, then B, I, E and S of each label in turn.

        Case 4 of Wang et al. 2021: the marginals of a tagger's parts under a distribution over span sets.
        """
        marginals = self.marginals
        single = marginals.diagonal(dim1=1, dim2=2).transpose(1, 2)
        first, last = marginals.sum(2) - single, marginals.sum(1) - single
        # A longer span covers a position from inside if it began before and has not ended: both are running sums.
        inside = first.cumsum(1) - first - last.cumsum(1)
        tags = torch.stack([first, inside.clamp(min=0), last, single], -1).flatten(2)
        return torch.cat([(1 - tags.sum(-1, keepdim=True)).clamp(min=0), tags], -1) * self.mask[..., None]

    def _scores(self) -> tuple[Tensor, ...]:
        return (self.scores,)

    def _solve(self) -> tuple[Tensor, Tensor]:
        return self._sum()

    def _differentiable_marginals(self) -> Tensor:
        return self._sum()[1]

    def _sum(self) -> tuple[Tensor, Tensor]:
        """Return log-partition and marginals, from sums over what is before each boundary and, mirrored, after."""
        lowest = torch.finfo(self.scores.dtype).min / 1e6  # stands for minus infinity, which has no gradient
        scores = self.scores.clamp(min=lowest)
        batch, n, _, _ = scores.shape
        any_label = torch.logsumexp(scores, -1)
        spans = any_label.double()
        ways = torch.stack([spans, spans.flip(1, 2).transpose(1, 2)])
        sums = [ways.new_zeros(2, batch)]
        for end in range(n):
            candidates = torch.stack(sums, -1) + ways[:, :, : end + 1, end]
            sums.append(torch.logsumexp(torch.cat([candidates, sums[end][..., None]], -1), -1))
        before, after = torch.stack(sums, -1)
        total = before[:, -1]
        covered = (before[:, :-1, None] + spans + after.flip(1)[:, None, 1:] - total[:, None, None]).exp()
        return total.to(scores.dtype), covered.to(scores.dtype)[..., None] * (scores - any_label[..., None]).exp()

    def _centred_expected_score(self, marginals: Tensor) -> Tensor:
        return weighed(marginals, self.scores).sum((1, 2, 3))
