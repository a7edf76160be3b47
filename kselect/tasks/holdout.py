"""Stratified, seeded samples of a split: the reward split, and slices for a quick look."""

from __future__ import annotations

from typing import TypeVar

from kselect.errors import UserError
from kselect.tasks.examples import Examples

Split = TypeVar("Split", bound=Examples)


def limit(split: Split, count: int, seed: int) -> Split:
    """Return a stratified slice of at most `count` examples, in their original order."""
    if count >= len(split):
        return split
    return split.take(split.sample(count, seed))


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
    held = split.sample(count, seed)
    rest = sorted(set(range(len(split))) - set(held))
    return split.take(rest), split.take(held)
