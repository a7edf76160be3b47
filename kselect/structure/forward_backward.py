"""The forward-backward algorithm: sums over all label sequences of a linear chain."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding

from kselect.structure.distribution import exp

FLOOR = torch.finfo(torch.float64).tiny ** 0.3
LAST_BIT = math.log(torch.finfo(torch.float64).eps)


class ChainSums(NamedTuple):
    """Log-partition `[B]`, marginals of labels `[B, n, L]` and expected counts of transitions `[B, L, L]`."""

    log_partition: Tensor
    labels: Tensor
    transitions: Tensor


def sums(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> list[ChainSums]:
    """Sum over all label sequences of each of K chains, without gradient.

    Probabilities are scaled during the recursions, which makes these products of matrices. Sentences that may have lost
    mass to underflow are summed again in log space.

    Args:
        emissions: score of each label at each position, `[K, B, n, L]` in float64; at most 0, and 0 in padding.
        transitions: score of a label (second axis) right after another (first), `[K, L, L]` in float64; at most 0.
        lengths: number of real positions of each sentence, `[K, B]`.
    """
    stacked, sound = scaled(emissions, transitions, lengths)
    by_chain = [ChainSums(*chain) for chain in zip(*stacked, strict=True)]
    if not bool(sound.all()):
        for number, chain in enumerate(by_chain):
            unsound = ~sound[number]
            exact = logarithmic(emissions[number, unsound], transitions[number], lengths[number, unsound])
            for values, exact_values in zip(chain, exact, strict=True):
                values[unsound] = exact_values
    return by_chain


@torch.no_grad()
def scaled(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> tuple[ChainSums, Tensor]:
    """Sum scaled probabilities, for all chains and both directions in parallel.

    Parts that score below log `FLOOR` are left out. A sequence with such a part weighs at most as much as the best of
    these parts, and there are L^n sequences: a sentence is sound only if their total is below the rounding error of the
    others.

    At most three numbers are multiplied at a time. In a sound sentence, each is 0 or at least `FLOOR`, whose cube does
    not underflow, so that a result of 0 means an impossible part.

    Args:
        emissions: as in `sums`.
        transitions: as in `sums`.
        lengths: as in `sums`.

    Returns:
        The sums with a leading axis of chains, and whether they are exact, `[K, B]`.
    """
    chains, batch, n, labels = emissions.shape
    sentences = torch.arange(chains * batch, device=lengths.device).view(chains, batch, 1)
    positions = torch.arange(n, device=lengths.device)
    directions = torch.arange(2, device=lengths.device)[:, None, None, None]
    real = positions < lengths[..., None]
    # The position processed at each step, forward and backward, `[2, K, B, n]`; in padding, the first one again.
    turns = torch.stack([positions * real, (lengths[..., None] - 1 - positions).clamp(min=0)])

    potentials, moves = (torch.threshold_(exp(scores), FLOOR, 0.0) for scores in (emissions, transitions))
    left_out = torch.maximum(
        torch.where(potentials == 0, emissions, -torch.inf).flatten(2).amax(2),
        torch.where(moves == 0, transitions, -torch.inf).flatten(1).amax(1, keepdim=True),
    )
    potentials *= real[..., None]
    in_turn = embedding((sentences * n + turns).permute(3, 0, 1, 2), potentials.view(-1, labels)).flatten(1, 2)
    matrices = torch.cat([moves, moves.mT])
    messages, scales = [torch.ones_like(in_turn[0])], torch.ones_like(in_turn[..., :1])
    for turn, (before, scale) in enumerate(zip(in_turn[:-1].unbind(), scales[1:].unbind(), strict=True)):
        messages.append(torch.bmm(messages[-1] * before, matrices))
        if turn % 2:
            messages[-1] /= torch.sum(messages[-1], -1, keepdim=True, out=scale)

    rows = (2 * turns + directions) * (chains * batch) + sentences
    received = embedding(rows, torch.stack(messages).view(-1, labels))
    ahead, behind = received
    left, right = ahead * potentials, potentials * behind
    joint = left * behind
    norms = torch.where(real, joint.sum(-1), 1.0)
    steps = torch.where(real, scales[:, :chains, :, 0].permute(1, 2, 0), 1.0)
    pairs = (left[:, :, :-1] / (steps * norms)[:, :, 1:, None]).mT @ right[:, :, 1:]
    total = steps.log().sum(-1) + left.sum(-1).gather(2, _last(lengths))[..., 0].log()
    total = torch.where(lengths > 0, total, 0.0)
    smallest = torch.threshold_(received, 0.0, 1.0).flatten(3).amin((0, 3))
    safe = torch.minimum(smallest, torch.minimum(norms, steps).amin(-1)) >= FLOOR
    enough = total + LAST_BIT >= left_out + lengths * math.log(labels)
    return ChainSums(total, joint.div_(norms[..., None]), pairs.mul_(moves[:, None])), safe & enough


def logarithmic(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> ChainSums:
    """Sum over all label sequences of one chain in log space; slow, always exact, and differentiable."""
    lowest = -1e300  # replaces minus infinity, whose gradients are undefined
    n = emissions.size(1)
    real = torch.arange(n, device=lengths.device) < lengths[:, None]
    mirror = _mirror(lengths, emissions)
    scores = torch.where(real[..., None], emissions.clamp(min=lowest), 0.0)
    moves = transitions.clamp(min=lowest)
    both = torch.stack([scores, scores.gather(1, mirror)])
    matrices = torch.stack([moves, moves.T])[:, None]
    messages = [torch.zeros_like(both[:, :, 0])]
    for t in range(1, n):
        messages.append(torch.logsumexp((messages[-1] + both[:, :, t - 1])[..., None] + matrices, 2))
    ahead, behind = torch.stack(messages, 2)
    behind = behind.gather(1, mirror)
    total = torch.logsumexp((ahead + scores).gather(1, _last(lengths)[..., None].expand_as(scores[:, :1]))[:, 0], -1)
    possible = total > lowest / 2
    total = torch.where(possible, total, 0.0)[:, None, None]
    labels = torch.where(real[..., None] & possible[:, None, None], ahead + scores + behind - total, lowest).exp()
    counts = torch.zeros_like(moves).expand(len(lengths), -1, -1)
    for t in range(1, n):
        pair = (ahead + scores)[:, t - 1, :, None] + moves + (scores + behind)[:, t, None, :] - total
        counts = counts + torch.where((real[:, t] & possible)[:, None, None], pair, lowest).exp()
    total = torch.where(possible, total[:, 0, 0], -torch.inf)
    total = torch.where(lengths > 0, total, 0.0)
    return ChainSums(total, labels, counts)


def _mirror(lengths: Tensor, emissions: Tensor) -> Tensor:
    """Return indices that reverse each sentence, `[B, n, L]`."""
    positions = torch.arange(emissions.size(1), device=lengths.device)
    return (lengths[:, None] - 1 - positions).clamp(min=0)[..., None].expand_as(emissions)


def _last(lengths: Tensor) -> Tensor:
    return (lengths - 1).clamp(min=0)[..., None]
