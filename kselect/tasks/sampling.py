"""Samples that are like what they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified_sample(labels: Sequence[float], count: int, seed: int) -> list[int]:
    """Return `count` indices, ascending, whose label shares are those of `labels` up to rounding.

    Shares are rounded by the largest remainder. The sample depends on nothing but the three arguments.
    """
    _check(count, labels)
    generator = np.random.default_rng(seed)
    gold = np.asarray(labels)
    classes, sizes = np.unique(gold, return_counts=True)
    exact = sizes * (count / len(gold)) if count else np.zeros(len(sizes))
    quotas = np.floor(exact).astype(int)
    by_remainder = np.argsort(quotas - exact, kind="stable")
    quotas[by_remainder[: count - quotas.sum()]] += 1
    chosen = [
        generator.permutation(np.flatnonzero(gold == label))[:quota]
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return [int(index) for index in np.sort(np.concatenate(chosen))] if chosen else []


def spread_sample(scores: Sequence[float], count: int, seed: int) -> list[int]:
    """Return `count` indices, ascending, spread over the scores as all of them are: one of each `count`-quantile.

    The sample depends on nothing but the three arguments.
    """
    _check(count, scores)
    if count == 0:
        return []
    generator = np.random.default_rng(seed)
    return sorted(int(generator.choice(bin)) for bin in np.array_split(np.argsort(scores, kind="stable"), count))


def _check(count: int, labels: Sequence[float]) -> None:
    if not 0 <= count <= len(labels):
        raise ValueError(f"Cannot draw {count} of {len(labels)} examples.")
