"""Training batches of examples of similar length."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

BATCHES_PER_POOL = 32


class BatchPosition(TypedDict):
    """Position in the endless sequence of batches: the next batch is number `batch` of epoch `epoch` under `seed`."""

    seed: int
    epoch: int
    batch: int


class BucketSampler:
    """Endless batches of example indices, each example once per epoch, with similar lengths within a batch.

    Examples are shuffled, split into pools of several batches, sorted by length within each pool and split into
    batches, which are shuffled again. The order is a pure function of seed and epoch, so that a position is three
    integers.
    """

    def __init__(self, lengths: NDArray[np.int32], batch_size: int, seed: int = 0) -> None:
        """Sample from examples whose `lengths [N]` in tokens are given."""
        self.lengths = lengths
        self.batch_size = batch_size
        self.restart(seed)

    @property
    def batches_per_epoch(self) -> int:
        """Training steps per epoch; the last batch of a pool may be smaller."""
        return -(-len(self.lengths) // self.batch_size)

    def restart(self, seed: int) -> None:
        """Start again from epoch 0 under `seed`."""
        self.position = BatchPosition(seed=seed, epoch=0, batch=0)

    @property
    def position(self) -> BatchPosition:
        """Position of the next batch."""
        return BatchPosition(seed=self._seed, epoch=self._epoch, batch=self._batch)

    @position.setter
    def position(self, position: BatchPosition) -> None:
        self._seed, self._epoch, self._batch = position["seed"], position["epoch"], position["batch"]
        self._order = self._epoch_order()

    @property
    def epoch_batches(self) -> list[NDArray[np.int64]]:
        """All batches of the current epoch, in order."""
        return self._order

    def next_batch(self) -> NDArray[np.int64]:
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
    """Split all examples into batches, longest first, which minimises padding."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
