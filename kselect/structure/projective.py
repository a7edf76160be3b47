"""Distributions over projective dependency trees."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kselect.structure.distribution import exp
from kselect.structure.trees import DependencyTrees

SAFE = 1e-150  # for a float64 sum this large, terms lost below 1e-308 do not matter
Reduce = Callable[[Tensor], Tensor]


class ProjectiveTrees(DependencyTrees):
    """All dependency trees with a single root and no crossing arcs.

    A complete span has its head at one end and all of its dependents up to the other end; an incomplete span has its
    head at one end and a dependent of it at the other. Leftward spans are rightward spans in the reversed sentence, so
    that both directions form one batch: charts are `[2, B, n, n]`, by direction, sentence, position of the head, and
    distance that the span reaches.

    Source: Eisner (1996).
    """

    @property
    def argmax(self) -> Tensor:
        """The head of each token in the most probable tree, `[B, n]`, 0 in padding."""
        chosen, _ = _derived(self._detached[0], self.mask, lambda ways: ways.max(-1).values)
        return torch.where(self.mask, chosen.argmax(-1), 0)

    def _solve(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        (scores,) = self._detached
        value, marginals, sound = _inside_outside(scores, self.mask)
        if not bool(sound.all()):
            marginals[~sound], value[~sound] = _derived(scores[~sound], self.mask[~sound], _sum)
        return value, (marginals,)

    def _differentiable_marginals(self) -> tuple[Tensor, ...]:
        return (_derived(self._scores[0], self.mask, _sum)[0],)


def _sum(ways: Tensor) -> Tensor:
    return torch.logsumexp(ways, -1)


def _derived(scores: Tensor, mask: Tensor, reduce: Reduce) -> tuple[Tensor, Tensor]:
    """Return the gradient, differentiable if the scores are, and the value `[B]` of `_inside_in_logs`."""

    def total(scores: Tensor) -> tuple[Tensor, Tensor]:
        value = _inside_in_logs(scores, mask, reduce)
        return value.clamp(min=-1e30).sum(), value

    gradient, (_, value) = torch.func.grad_and_value(total, has_aux=True)(scores)
    return gradient, value


def _inside_outside(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-partition, marginals and whether they are exact, `[B]`, from sums of weights.

    Weights are at most 1, so that underflow loses less than the smallest float64 times the number of trees.
    """
    weights = exp(scores)
    root, arcs = weights[..., 0], _by_reach(weights[..., 1:])
    batch, n = mask.shape
    complete, by_end, incomplete = (arcs.new_zeros(2, batch, n, n) for _ in range(3))
    joined = arcs.new_zeros(batch, n, n)
    complete[..., 0] = by_end[..., 0] = 1.0
    for w in range(1, n):
        left, m = n - w, slice(None, n - w)
        joined[:, m, w] = (complete[0, :, m, :w] * complete[1, :, m, :w].flip(1, 2)).sum(-1)
        both = torch.stack([joined[:, m, w], joined[:, m, w].flip(1)])
        incomplete[:, :, m, w] = arcs[:, :, m, w] * both
        complete[:, :, m, w] = (incomplete[:, :, m, 1 : w + 1] * by_end[:, :, w:, :w].flip(-1)).sum(-1)
        by_end[:, :, w:, w] = complete[:, :, :left, w]

    # How far a sentence reaches to the right of each token, and to the left.
    rows = torch.arange(batch, device=mask.device)[:, None]
    positions = torch.arange(n, device=mask.device)
    reach = (mask.sum(1)[:, None] - 1 - positions).clamp(min=0)
    after, before = complete[0][rows, positions, reach], complete[1][rows, n - 1 - positions, positions]
    attached = torch.where(mask, root * before * after, 0.0)
    total = torch.where(mask.any(1), attached.sum(1), 1.0)

    of_complete, of_end, of_incomplete = (torch.zeros_like(complete) for _ in range(3))
    of_complete[0][rows, positions, reach] = torch.where(mask, root * before, 0.0)
    of_complete[1][rows, n - 1 - positions, positions] = torch.where(mask, root * after, 0.0)
    for w in range(n - 1, 0, -1):
        m = slice(None, n - w)
        whole = (of_complete[:, :, m, w] + of_end[:, :, w:, w])[..., None]
        of_incomplete[:, :, m, 1 : w + 1] += whole * by_end[:, :, w:, :w].flip(-1)
        of_end[:, :, w:, :w] += (whole * incomplete[:, :, m, 1 : w + 1]).flip(-1)
        pulled = of_incomplete[:, :, m, w] * arcs[:, :, m, w]
        of_joined = (pulled[0] + pulled[1].flip(1))[..., None]
        of_complete[0, :, m, :w] += of_joined * complete[1, :, m, :w].flip(1, 2)
        of_complete[1, :, m, :w] += (of_joined * complete[0, :, m, :w]).flip(1, 2)
    marginals = _by_arc(of_incomplete * incomplete)
    marginals = torch.cat([attached[..., None], marginals], -1) / total[:, None, None]
    return total.log(), marginals, (total > SAFE) & total.isfinite()


def _inside_in_logs(scores: Tensor, mask: Tensor, reduce: Reduce) -> Tensor:
    """Return the log-partition, or with another `reduce` the best score, `[B]`; slow, and differentiable.

    The chart is a list by distance, so that nothing is written in place.
    """
    lowest = -1e300  # replaces minus infinity, which has no gradient
    scores = scores.clamp(min=lowest)
    batch, n = mask.shape
    root, arcs = scores[..., 0], _by_reach(scores[..., 1:])
    complete = [scores.new_zeros(2, batch, n)]
    incomplete = [torch.empty(0)]
    for w in range(1, n):
        left = n - w
        pairs = [complete[k][0, :, :left] + complete[w - 1 - k][1, :, :left].flip(1) for k in range(w)]
        joined = reduce(torch.stack(pairs, -1))
        incomplete.append(arcs[:, :, :left, w] + torch.stack([joined, joined.flip(1)]))
        ways = [incomplete[k][:, :, :left] + complete[w - k][:, :, k : k + left] for k in range(1, w + 1)]
        complete.append(reduce(torch.stack(ways, -1)).clamp(min=lowest))
    length = mask.sum(1)
    after = torch.stack([torch.nn.functional.pad(chart[0], (0, n - chart.size(2))) for chart in complete], -1)
    before = torch.stack([chart[1, :, -1] for chart in complete], -1)
    positions = torch.arange(n, device=mask.device)
    reach = (length[:, None] - 1 - positions).clamp(min=0)[..., None]
    attached = root + before + after.gather(2, reach)[..., 0]
    total = reduce(torch.where(mask, attached, lowest).clamp(min=lowest))
    total = torch.where(total > lowest / 2, total, -torch.inf)
    return torch.where(length > 0, total, 0.0)


def _by_reach(tokens: Tensor) -> Tensor:
    """Arrange `[B, n, n]`, rows of dependents and columns of heads, as a chart by distance from the head."""
    from_head = tokens.transpose(1, 2)
    both = torch.stack([from_head, from_head.flip(1, 2)])
    return both.gather(-1, _reached(tokens).expand_as(both))


def _by_arc(chart: Tensor) -> Tensor:
    """Invert `_by_reach`."""
    positions = _reached(chart[0])
    inside = torch.arange(chart.size(-1), device=chart.device)[:, None] + torch.arange(
        chart.size(-1), device=chart.device
    )
    chart = torch.where(inside < chart.size(-1), chart, 0.0)
    both = torch.zeros_like(chart).scatter_add(-1, positions.expand_as(chart), chart)
    return (both[0] + both[1].flip(1, 2)).transpose(1, 2)


def _reached(tokens: Tensor) -> Tensor:
    """Return the position at each distance to the right of each position, `[n, n]`, at most the last one."""
    positions = torch.arange(tokens.size(-1), device=tokens.device)
    return (positions[:, None] + positions).clamp(max=tokens.size(-1) - 1)
