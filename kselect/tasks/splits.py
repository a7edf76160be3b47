"""A split: texts with their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kselect.errors import KselectError

Self = TypeVar("Self", bound="Examples")


class Examples(ABC):
    """Labelled examples in a fixed order."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def take(self: Self, indices: Iterable[int]) -> Self:
        """Return the examples at `indices`, in that order."""

    @abstractmethod
    def sample(self, count: int, seed: int) -> list[int]:
        """Return `count` indices, ascending, of examples that are like all of them; they depend on nothing else."""


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


@dataclass(frozen=True)
class Split(Examples):
    """Labelled sentences, or labelled pairs of sentences, in a fixed order."""

    text_a: list[str]
    """The sentence, or the first of each pair."""
    text_b: list[str] | None
    """The second of each pair; None where the task reads single sentences."""
    labels: Sequence[float]
    """Label ids, in the order of the task's `labels`; scores in a regression."""

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        lengths = {len(column) for column in (self.text_a, self.text_b, self.labels) if column is not None}
        if len(lengths) != 1:
            raise ValueError(f"The columns of a split differ in length: {sorted(lengths)}.")

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def scored(self) -> bool:
        """Whether the labels are scores."""
        return any(isinstance(label, float) for label in self.labels)

    def take(self, indices: Iterable[int]) -> Split:
        """Return the examples at `indices`, in that order."""
        rows = [int(index) for index in indices]
        return Split(
            text_a=[self.text_a[row] for row in rows],
            text_b=None if self.text_b is None else [self.text_b[row] for row in rows],
            labels=[self.labels[row] for row in rows],
        )

    def sample(self, count: int, seed: int) -> list[int]:
        """Return indices of examples whose labels have the shares, or whose scores have the spread, of all."""
        return (spread_sample if self.scored else stratified_sample)(self.labels, count, seed)


Part = TypeVar("Part", bound=Examples)


def limit(split: Part, count: int, seed: int) -> Part:
    """Return a stratified slice of at most `count` examples, in their original order."""
    if count >= len(split):
        return split
    return split.take(split.sample(count, seed))


def hold_out(split: Part, fraction: float, seed: int, part: str = "reward") -> tuple[Part, Part]:
    """Cut a split into (the rest, a stratified share of about `fraction`), both in their original order.

    `part` is what messages call the share.

    The held-out part has at least one example; raises `KselectError` where nothing would be left of either.
    """
    if not 0 < fraction < 1:
        raise KselectError(f"reward_fraction is {fraction}: give a share of train between 0 and 1.")
    count = max(1, round(fraction * len(split)))
    if count >= len(split):
        raise KselectError(
            f"A {part} split of {count} out of {len(split)} training examples leaves none to train on: "
            f"give more examples{' or a smaller reward_fraction' if part == 'reward' else ''}."
        )
    held = split.sample(count, seed)
    rest = sorted(set(range(len(split))) - set(held))
    return split.take(rest), split.take(held)
