"""All structures of small sentences, listed one by one."""

from __future__ import annotations

from itertools import pairwise, product

import torch
from torch import Tensor


def sequences(n: int, labels: int) -> Tensor:
    """Return all label sequences, `[L^n, n]`."""
    return torch.tensor(list(product(range(labels), repeat=n)), dtype=torch.long).reshape(-1, n)


def chain_scores(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, all_labels: Tensor) -> Tensor:
    """Return the scores `[N]` of label sequences `[N, n]` of one sentence, emissions `[n, L]`, position by position."""
    scores = []
    for labels in all_labels.tolist():
        score = start[labels[0]] + end[labels[-1]]
        for position, label in enumerate(labels):
            score = score + emissions[position, label]
        for before, after in pairwise(labels):
            score = score + transitions[before, after]
        scores.append(score)
    return torch.stack(scores)
