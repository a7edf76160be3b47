"""Endless training batches of like length."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

BATCHES_PER_POOL = 32


class BatchPosition(TypedDict):
    """Where in the endless sequence of batches one stands."""

    seed: int
    epoch: int
    batch: int


class BucketedBatches:
    """Batches of example indices, epoch after epoch, each example once an epoch, lengths alike within a batch.

    An epoch is shuffled, cut into pools of some batches, sorted by length within a pool, cut into batches, and the
    batches shuffled. Its order is a pure function of seed and epoch, so a position is three integers.
    """

    def __init__(self, lengths: NDArray[np.int32], batch_size: int, seed: int = 0) -> None:
        """Draw from `len(lengths)` examples, whose lengths in tokens are given."""
        self.lengths = lengths
        self.batch_size = batch_size
        self.restart(seed)

    @property
    def batches_per_epoch(self) -> int:
        """Training steps in one pass; the last batch of a pass may be smaller."""
        return -(-len(self.lengths) // self.batch_size)

    def restart(self, seed: int) -> None:
        """Begin anew from epoch 0 under another seed."""
        self.position = BatchPosition(seed=seed, epoch=0, batch=0)

    @property
    def position(self) -> BatchPosition:
        """The batch that comes next."""
        return BatchPosition(seed=self._seed, epoch=self._epoch, batch=self._batch)

    @position.setter
    def position(self, position: BatchPosition) -> None:
        self._seed, self._epoch, self._batch = position["seed"], position["epoch"], position["batch"]
        self._order = self._epoch_order()

    @property
    def epoch(self) -> list[NDArray[np.int64]]:
        """All batches of the present epoch, in their order."""
        return self._order

    def next(self) -> NDArray[np.int64]:
        """Return the indices of the next batch, longest example first."""
        if self._batch == len(self._order):
            self._epoch, self._batch = self._epoch + 1, 0
            self._order = self._epoch_order()
        self._batch += 1
        return self._order[self._batch - 1]

    def _epoch_order(self) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng([self._seed, self._epoch])
        shuffled = generator.permutation(len(self.lengths))
        pool_size = BATCHES_PER_POOL * self.batch_size
        batches = []
        for start in range(0, len(shuffled), pool_size):
            pool = shuffled[start : start + pool_size]
            pool = pool[np.argsort(-self.lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        return [batches[i] for i in generator.permutation(len(batches))]


def sorted_batches(lengths: NDArray[np.int32], batch_size: int) -> list[NDArray[np.int64]]:
    """Cut all examples into batches for evaluation, longest first, so that padding is least."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
