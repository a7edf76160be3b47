"""Arrays of examples of unequal length, without their padding."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Ragged:
    """One half-precision array an example, of which some axes are as long as the example, stored end to end.

    Shapes are tuples in which None stands for the example's length: `(None, D)` for hidden states, `(H, None, None)`
    for attention, `(H, None, d)` for queries.
    """

    def __init__(self, lengths: NDArray[np.int32], shape: tuple[int | None, ...]) -> None:
        """Make room for `len(lengths)` examples of `shape`."""
        self.shape = shape
        self.lengths = lengths
        sizes = [math.prod(self._shape(int(length))) for length in lengths]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)])
        self.values = np.zeros(self.offsets[-1], dtype=np.float16)

    def write(self, indices: NDArray[np.int64], padded: NDArray[np.float16]) -> None:
        """Keep the real tokens of `padded`, `[B, *shape]` with the padded width for None."""
        for row, index in enumerate(indices):
            self._example(index)[...] = padded[row][self._real_tokens(index)]

    def read(self, indices: NDArray[np.int64], width: int) -> Tensor:
        """Return `[B, *shape]` in float16, padded with zeros to `width` tokens."""
        padded = np.zeros((len(indices), *self._shape(width)), dtype=np.float16)
        for row, index in enumerate(indices):
            padded[row][self._real_tokens(index)] = self._example(index)
        return torch.from_numpy(padded)

    def _example(self, index: int) -> NDArray[np.float16]:
        flat = self.values[self.offsets[index] : self.offsets[index + 1]]
        return flat.reshape(self._shape(int(self.lengths[index])))

    def _shape(self, length: int) -> tuple[int, ...]:
        return tuple(length if size is None else size for size in self.shape)

    def _real_tokens(self, index: int) -> tuple[slice, ...]:
        return tuple(slice(self.lengths[index]) if size is None else slice(None) for size in self.shape)
