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


def span_sets(n: int, labels: int, first: int = 0) -> list[list[tuple[int, int, int]]]:
    """Return all sets of (first, last, label) within positions `first` to n - 1 that do not overlap."""
    if first == n:
        return [[]]
    found = span_sets(n, labels, first + 1)
    for last in range(first, n):
        for label in range(labels):
            found = [*found, *([(first, last, label), *rest] for rest in span_sets(n, labels, last + 1))]
    return found


def bioes(spans: list[tuple[int, int, int]], n: int) -> list[int]:
    """Return the tag of each position: 0 for O, then 4 for each label, B, I, E and S."""
    tags = [0] * n
    for first, last, label in spans:
        for position in range(first, last + 1):
            place = 3 if first == last else 0 if position == first else 2 if position == last else 1
            tags[position] = 1 + 4 * label + place
    return tags


def trees(n: int, *, crossing: bool = True) -> list[tuple[int, ...]]:
    """Return the heads of all dependency trees over n tokens with one root: 0 for it, else counted from 1."""
    return [
        heads
        for heads in product(range(n + 1), repeat=n)
        if heads.count(0) == 1 and all(_reaches_root(heads, token) for token in range(1, n + 1))
        if crossing or not _crosses(heads)
    ]


def _reaches_root(heads: tuple[int, ...], token: int) -> bool:
    for _ in heads:
        token = heads[token - 1]
        if token == 0:
            return True
    return False


def _crosses(heads: tuple[int, ...]) -> bool:
    """Say whether two arcs cross, the root standing left of all tokens."""
    arcs = [(min(head, token), max(head, token)) for token, head in enumerate(heads, 1)]
    return any(a < c < b < d for a, b in arcs for c, d in arcs)
