"""A split: texts with their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kselect.tasks.examples import Examples
from kselect.tasks.sampling import spread_sample, stratified_sample


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
