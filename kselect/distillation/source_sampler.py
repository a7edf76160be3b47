"""Training batches from labelled texts and from further ones, in the shares that a selection gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.distillation.sampler import BatchPosition, BucketSampler


class SourcePosition(BatchPosition, total=False):
    """Position in several sequences of batches: of the labelled and each further source, and how far each is behind."""

    further: list[BatchPosition]
    behind: list[float]


class SourceSampler:
    """Batches from several sources of examples, each batch from one: labelled examples, then further texts.

    A source with weight w and n examples has w n / (n_0 + sum of w n) of the batches, where n_0 is the number of
    labelled examples, so that at weight 1 each text is read as often as a labelled one. The next batch is of the source
    that is furthest behind its share: shares are exact, up to a batch, and nothing is random about them.

    An epoch is one of the labelled examples: the length of a run does not depend on the further ones.
    """

    def __init__(self, lengths: NDArray[np.int32], sizes: Sequence[int], batch_size: int, seed: int = 0) -> None:
        """Sample from examples whose `lengths [N]` in tokens are given, the first `sizes[0]` of which are labelled."""
        self.sizes = np.asarray(sizes, dtype=np.float64)
        self.starts = [0, *np.cumsum(sizes)[:-1].tolist()]
        parts = np.split(lengths, self.starts[1:])
        self.labelled, *self.further = [BucketSampler(part, batch_size, seed) for part in parts]
        self.restart(seed)

    @property
    def batches_per_epoch(self) -> int:
        """Training steps per epoch."""
        return self.labelled.batches_per_epoch

    @property
    def epoch_batches(self) -> list[NDArray[np.int64]]:
        """All batches of labelled examples of the current epoch, in order."""
        return self.labelled.epoch_batches

    def restart(self, seed: int) -> None:
        """Start again from epoch 0 under `seed`."""
        for sampler in (self.labelled, *self.further):
            sampler.restart(seed)
        self.behind = np.zeros(len(self.sizes))

    @property
    def position(self) -> SourcePosition:
        """Position of the next batch."""
        position = SourcePosition(**self.labelled.position)
        if self.further:
            position |= {"further": [sampler.position for sampler in self.further], "behind": self.behind.tolist()}
        return position

    @position.setter
    def position(self, position: SourcePosition) -> None:
        self.labelled.position = position
        for sampler, each in zip(self.further, position.get("further", ()), strict=True):
            sampler.position = each
        self.behind = np.asarray(position.get("behind", [0.0]))

    def next_batch(self, weights: ArrayLike = ()) -> tuple[NDArray[np.int64], bool]:
        """Return the indices of the next batch, and whether it is of the labelled examples.

        Args:
            weights: of the further sources, in [0, 1]; all 0 by default.
        """
        given = np.asarray(weights, dtype=np.float64)
        if not given.any():
            return self.labelled.next_batch(), True
        shares = self.sizes * np.concatenate([[1.0], given])
        self.behind += shares / shares.sum()
        source = int(np.argmax(np.where(shares > 0, self.behind, -np.inf)))
        self.behind[source] -= 1
        sampler = (self.labelled, *self.further)[source]
        return self.starts[source] + sampler.next_batch(), source == 0
