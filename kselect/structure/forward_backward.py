"""Sums over all label sequences of a linear chain, and what they say of its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = torch.finfo(torch.float64).tiny ** 0.3


@dataclass(frozen=True)
class ChainSums:
    """The log-partition `[B]`, the probabilities of labels `[B, n, L]` and the mean transition counts `[B, L, L]`."""

    log_partition: Tensor
    labels: Tensor
    transitions: Tensor


def sums(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> ChainSums:
    """Sum over all label sequences, without gradient.

    Args:
        emissions: score of each label at each position, `[B, n, L]` in float64; at most 0, and 0 in padding.
        transitions: score of a label (second axis) right after another (first), `[L, L]` in float64; at most 0.
        lengths: how many positions of each sentence are real, `[B]`.

    Probabilities are scaled to sum to 1 at each position, which makes the recursions products of matrices. Sentences
    in which that may have lost something to underflow are summed again in log space.
    """
    found, sound = scaled(emissions, transitions, lengths)
    if not bool(sound.all()):
        exact = logarithmic(emissions[~sound], transitions, lengths[~sound])
        found.log_partition[~sound] = exact.log_partition
        found.labels[~sound] = exact.labels
        found.transitions[~sound] = exact.transitions
    return found


@torch.no_grad()
def scaled(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> tuple[ChainSums, Tensor]:
    """Sum on scaled probabilities, both directions side by side; returns the sums and, `[B]`, whether they are sound.

    Parts that score below log `FLOOR` are left out. No sequence with one of them weighs more than the best of them, and
    there are L^n sequences: a sentence is sound only if all of these together are beyond the last bit of the others.

    Of what is multiplied then, three numbers at a time, everything is 0 or, in a sound sentence, at least `FLOOR`, the
    cube of which does not underflow. So whatever is 0 is impossible, and nothing is lost.
    """
    cutoff, last_bit = math.log(FLOOR), math.log(torch.finfo(emissions.dtype).eps)
    n, labels = emissions.shape[1:]
    real = torch.arange(n, device=lengths.device) < lengths[:, None]
    mirror = _mirror(lengths, emissions)

    potentials, moves = (scores.exp().masked_fill(scores < cutoff, 0.0) for scores in (emissions, transitions))
    left_out = torch.maximum(
        torch.where(emissions < cutoff, emissions, -torch.inf).amax((1, 2)),
        torch.where(transitions < cutoff, transitions, -torch.inf).amax(),
    )
    both = torch.stack([potentials, potentials.gather(1, mirror)]).permute(2, 0, 1, 3).contiguous()
    matrices = torch.stack([moves, moves.T])
    messages = torch.ones_like(both)
    scales = torch.ones_like(both[..., :1])
    for t in range(1, n):
        torch.bmm(messages[t - 1] * both[t - 1], matrices, out=messages[t])
        torch.sum(messages[t], -1, keepdim=True, out=scales[t])
        messages[t] /= scales[t]

    ahead, behind = messages[:, 0].transpose(0, 1), messages[:, 1].transpose(0, 1).gather(1, mirror)
    steps = scales[:, 0].transpose(0, 1)
    left, right = ahead * potentials, potentials * behind
    joint = left * behind
    norms = joint.sum(-1, keepdim=True)
    follows = real[:, 1:, None]
    before = torch.where(follows, left[:, :-1] / (steps * norms)[:, 1:], 0.0)
    scale = torch.where(follows, steps[:, 1:].log(), 0.0).sum((1, 2))
    found = ChainSums(
        torch.where(lengths > 0, scale + left.sum(-1).gather(1, _last(lengths))[:, 0].log(), 0.0),
        torch.where(real[..., None], joint / norms, 0.0),
        moves * (before.transpose(1, 2) @ torch.where(follows, right[:, 1:], 0.0)),
    )
    smallest = torch.stack([ahead, behind])
    smallest = torch.where(smallest == 0, 1.0, smallest).amin((0, 3))
    safe = (smallest >= FLOOR) & (norms[..., 0] >= FLOOR) & (steps[..., 0] >= FLOOR)
    enough = found.log_partition + last_bit >= left_out + lengths * math.log(labels)
    return found, (safe | ~real).all(-1) & enough


def logarithmic(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> ChainSums:
    """Sum in log space; slow, never wrong, and differentiable."""
    lowest = -1e300  # stands for minus infinity, whose gradients would be undefined
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
    """Return the position, `[B, n, L]`, that lies as far from a sentence's end as the given one from its start."""
    positions = torch.arange(emissions.size(1), device=lengths.device)
    return (lengths[:, None] - 1 - positions).clamp(min=0)[..., None].expand_as(emissions)


def _last(lengths: Tensor) -> Tensor:
    return (lengths - 1).clamp(min=0)[:, None]
