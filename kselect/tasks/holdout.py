"""Stratified, seeded samples of a split: the reward split, and slices for a quick look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kselect.errors import UserError
from kselect.tasks.split import Split


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


def _sample(split: Split, count: int, seed: int) -> list[int]:
    return (spread_sample if split.scored else stratified_sample)(split.labels, count, seed)


def limit(split: Split, count: int, seed: int) -> Split:
    """Return a stratified slice of at most `count` examples, in their original order."""
    if count >= len(split):
        return split
    return split.take(_sample(split, count, seed))


def hold_out(split: Split, fraction: float, seed: int, part: str = "reward") -> tuple[Split, Split]:
    """Cut a split into (the rest, a stratified share of about `fraction`), both in their original order.

    `part` is what messages call the share.

    The held-out part has at least one example; raises `UserError` where nothing would be left of either.
    """
    if not 0 < fraction < 1:
        raise UserError(f"reward_fraction is {fraction}: give a share of train between 0 and 1.")
    count = max(1, round(fraction * len(split)))
    if count >= len(split):
        raise UserError(
            f"A {part} split of {count} out of {len(split)} training examples leaves none to train on: "
            f"give more examples{' or a smaller reward_fraction' if part == 'reward' else ''}."
        )
    held = _sample(split, count, seed)
    rest = sorted(set(range(len(split))) - set(held))
    return split.take(rest), split.take(held)
