"""Splits of a data set: labelled examples in a fixed order, and how reward and dev splits are held out of train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from kselect.config import TEXT_SOURCES
from kselect.errors import KselectError
from kselect.logging import get_logger

DEV_FRACTION = 0.1
"""Share of train that is held out as dev where there is no dev split."""
OVERLAP = 0.01
"""Share of a split's texts that are in train, too, from which a warning says so."""
UNLABELLED = -100
"""Label id of an example without a label, which PyTorch's cross-entropy leaves out."""

Self = TypeVar("Self", bound="Examples")


def is_held_out(split: str) -> bool:
    """Return whether a split, by its name, is for rewards or for reporting, rather than to learn from."""
    return split not in ("train", *TEXT_SOURCES)


class Examples(ABC):
    """Examples in a fixed order, labelled or not."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def take(self: Self, indices: Iterable[int]) -> Self:
        """Return the examples at `indices`, in that order."""

    @abstractmethod
    def sample(self, count: int, seed: int) -> list[int]:
        """Return `count` indices, ascending, of a representative sample; it depends on nothing but the arguments."""

    @abstractmethod
    def keys(self) -> Sequence[Hashable]:
        """Return the text of each example without its label, `[n]`; equal texts are duplicates."""


@dataclass(frozen=True)
class Split(Examples):
    """Sentences, or pairs of sentences, with a label each.

    Attributes:
        text_a: the sentence, or the first of each pair, `[n]`.
        text_b: the second of each pair, `[n]`; None where the task reads single sentences.
        labels: label ids in the order of the task's `labels`, `UNLABELLED` where there is none; scores in a regression,
            NaN where there is none; `[n]`. Where a text may have several labels, rows of 0 and 1, or of `UNLABELLED`,
            `[n][K]`.
        teacher_logits: answers of a teacher that the data have in columns, as logits in the order of the task's
            `labels`, or as scores, `[n][K]`; None where they have none.
    """

    text_a: list[str]
    text_b: list[str] | None
    labels: Sequence[Any]
    teacher_logits: Sequence[tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        columns = (self.text_a, self.text_b, self.labels, self.teacher_logits)
        lengths = {len(column) for column in columns if column is not None}
        if len(lengths) != 1:
            raise ValueError(f"The columns of a split differ in length: {sorted(lengths)}.")

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)

    @property
    def scored(self) -> bool:
        """Whether the labels are scores."""
        return len(self) > 0 and np.asarray(self.labels).dtype.kind == "f"

    @property
    def is_labelled(self) -> bool:
        """Whether any example has a label."""
        labels = np.asarray(self.labels)
        return bool((labels != UNLABELLED)[labels == labels].any())  # NaN != NaN

    def take(self, indices: Iterable[int]) -> Split:
        """Return the examples at `indices`, in that order."""
        rows = [int(index) for index in indices]
        return Split(
            text_a=[self.text_a[row] for row in rows],
            text_b=None if self.text_b is None else [self.text_b[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            teacher_logits=None if self.teacher_logits is None else [self.teacher_logits[row] for row in rows],
        )

    def joined(self, others: Sequence[Split]) -> Split:
        """Return these examples, and then those of the other splits; teacher's logits, if all have them."""
        every = (self, *others)
        pairs = [split.text_b for split in every if split.text_b is not None]
        logits = [split.teacher_logits for split in every if split.teacher_logits is not None]
        return Split(
            text_a=[text for split in every for text in split.text_a],
            text_b=None if self.text_b is None else [text for texts in pairs for text in texts],
            labels=[label for split in every for label in split.labels],
            teacher_logits=[row for rows in logits for row in rows] if len(logits) == len(every) else None,
        )

    def sample(self, count: int, seed: int) -> list[int]:
        """Return indices of examples whose labels have the shares, or whose scores have the spread, of all."""
        if len(self) and isinstance(self.labels[0], tuple):
            sets = {labels: number for number, labels in enumerate(dict.fromkeys(self.labels))}
            return stratified_sample([sets[labels] for labels in self.labels], count, seed)
        return (spread_sample if self.scored else stratified_sample)(self.labels, count, seed)

    def keys(self) -> Sequence[Hashable]:
        """Return the sentence, or the pair, of each example, `[n]`."""
        return self.text_a if self.text_b is None else list(zip(self.text_a, self.text_b, strict=True))

    def unlabelled(self) -> Split:
        """Return the same texts without their labels."""
        missing: Any = float("nan") if self.scored else UNLABELLED
        if len(self) and isinstance(self.labels[0], tuple):
            missing = (UNLABELLED,) * len(self.labels[0])
        return replace(self, labels=[missing] * len(self))


def stratified_sample(labels: Sequence[float], count: int, seed: int) -> list[int]:
    """Return `count` indices, ascending, whose label shares are those of `labels` up to rounding.

    Shares are rounded by the largest remainder. The sample depends on nothing but the three arguments.
    """
    _check_count(count, labels)
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
    _check_count(count, scores)
    if count == 0:
        return []
    generator, by_score = np.random.default_rng(seed), np.argsort(scores, kind="stable")
    bins = np.array_split(by_score, count)
    if count > len(scores) // 2:  # bins of one and two: array_split has all larger ones at the low scores
        bins = np.split(by_score, np.arange(1, count) * len(scores) // count)
    return sorted(int(generator.choice(bin)) for bin in bins)


def _check_count(count: int, labels: Sequence[float]) -> None:
    if not 0 <= count <= len(labels):
        raise ValueError(f"Cannot draw {count} of {len(labels)} examples.")


AnyExamples = TypeVar("AnyExamples", bound=Examples)


def subsample(split: AnyExamples, count: int, seed: int) -> AnyExamples:
    """Return a representative sample of at most `count` examples, in their original order."""
    if count >= len(split):
        return split
    return split.take(split.sample(count, seed))


def hold_out(split: AnyExamples, fraction: float, seed: int, name: str = "reward") -> tuple[AnyExamples, AnyExamples]:
    """Divide a split into (the rest, a representative share), both in their original order.

    Duplicates stay together: all copies of a text are held out where its first is in the sample, so each example is
    held out with the same probability, and no text is on both sides.

    Args:
        split: what to divide.
        fraction: expected size of the share, of 1; at least one example is held out.
        seed: of the sample.
        name: of the share, for messages.
    """
    if not 0 < fraction < 1:
        raise KselectError(
            f"reward_fraction is {fraction}: give a share of train between 0 and 1.", setting="reward_fraction"
        )
    held_out = held_out_rows(split, fraction, seed)
    if len(held_out) >= len(split):
        raise KselectError(
            f"A {name} split of {_size(split, fraction)} out of {len(split)} training examples leaves none to train "
            f"on: give more examples{' or a smaller reward_fraction' if name == 'reward' else ''}."
        )
    rest = [index for index in range(len(split)) if index not in held_out]
    return split.take(rest), split.take(sorted(held_out))


def held_out_rows(split: Examples, fraction: float, seed: int) -> set[int]:
    """Return the indices of the share that `hold_out` holds out, which may be all of a small split."""
    count = _size(split, fraction)
    return _with_duplicates(split, split.sample(count, seed)) if count < len(split) else set(range(count))


def _size(split: Examples, fraction: float) -> int:
    return max(1, round(fraction * len(split)))


def _with_duplicates(split: Examples, sample: Sequence[int]) -> set[int]:
    """Return the indices of all copies of each text whose first copy is in a sample, or else of one text in it."""
    keys = split.keys()
    first: dict[Hashable, int] = {}
    firsts = [first.setdefault(key, index) for index, key in enumerate(keys)]
    chosen = set(sample)
    if chosen.isdisjoint(first.values()):
        chosen = {firsts[sample[0]]}
    return {index for index, own_first in enumerate(firsts) if own_first in chosen}


def make_splits(
    splits: Mapping[str, AnyExamples],
    *,
    reward_fraction: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
) -> dict[str, AnyExamples]:
    """Hold the reward split out of train, and before it dev where there is none; then take slices where asked.

    Slices are taken last, so the reward split does not depend on `train_limit`, and no model that was trained
    on any slice of train has read it.

    Args:
        splits: "train" and, unless a tenth of train is to be held out for it, "dev"; others stay.
        reward_fraction: share of train that becomes the reward split.
        seed: of the splits and slices.
        train_limit: use at most this many examples of train and of each split for reporting.
    """
    if train_limit is not None and train_limit < 1:
        raise KselectError(f"train_limit is {train_limit}: give a positive number of examples.", setting="train_limit")
    reported = dict(splits)
    train = reported.pop("train")
    _warn_of_overlap(train, reported)
    if "dev" not in reported:
        train, reported["dev"] = hold_out(train, DEV_FRACTION, seed, "dev")
    train, reward = hold_out(train, reward_fraction, seed)
    if train_limit is not None:
        train = subsample(train, train_limit, seed)
        reported = {name: subsample(split, train_limit, seed) for name, split in reported.items()}
    return {"train": train, "reward": reward, **reported}


def _warn_of_overlap(train: Examples, reported: Mapping[str, Examples]) -> None:
    """Warn of splits for reporting that have texts in common with train."""
    known = set(train.keys()) if reported else set()
    for name, split in reported.items():
        shared = sum(map(known.__contains__, split.keys()))
        if shared and shared >= OVERLAP * len(split):
            get_logger().warning(
                "%d of %d examples of %s (%.0f %%) are in train, too: scores on %s overstate what was learned.",
                shared,
                len(split),
                name,
                100 * shared / len(split),
                name,
            )
