"""The Viterbi algorithm: the k best label sequences of a linear chain."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def best(emissions: Tensor, transitions: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k best label sequences, `[B, k, n]`, best first and 0 in padding, and their scores, `[B, k]`.

    Args:
        emissions: score of each label at each position, `[B, n, L]`.
        transitions: score of a label (second axis) right after another (first), `[L, L]`.
        lengths: number of real positions of each sentence, `[B]`.
        k: number of sequences; if fewer are possible, further scores are minus infinity and labels arbitrary. An empty
            sentence has one sequence, with score 0.
    """
    batch, n, labels = emissions.shape
    # Scores of the k best paths to each label, `[B, L, k]`; at the start there is only one.
    scores = emissions.new_full((batch, labels, k), -torch.inf)
    scores[:, :, 0] = emissions[:, 0]
    unchanged = torch.arange(labels * k, device=emissions.device).view(labels, k).expand(batch, -1, -1)
    origins = []
    for t in range(1, n):
        ways = (scores[:, :, :, None] + transitions[:, None]).flatten(1, 2).transpose(1, 2)
        values, origin = ways.topk(k, -1)
        real_here = (t < lengths)[:, None, None]
        scores = torch.where(real_here, values + emissions[:, t, :, None], scores)
        origins.append(torch.where(real_here, origin, unchanged))
    values, state = scores.flatten(1).topk(k, -1)
    sequences = emissions.new_zeros((batch, k, n), dtype=torch.long)
    for t in range(n - 1, -1, -1):
        sequences[:, :, t] = state // k
        if t > 0:
            state = origins[t - 1].flatten(1).gather(1, state)
    real = torch.arange(n, device=lengths.device) < lengths[:, None]
    empty = torch.where(torch.arange(k, device=lengths.device) == 0, 0.0, -torch.inf)
    return torch.where(real[:, None], sequences, 0), torch.where((lengths > 0)[:, None], values, empty)
