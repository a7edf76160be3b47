"""What a split is, of whatever the examples are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeVar

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
