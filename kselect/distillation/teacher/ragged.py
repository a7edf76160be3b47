"""Arrays of examples of unequal length, without their padding."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

TORCH = {"float16": torch.float16, "float32": torch.float32}


class Ragged:
    """Layout of one array an example, of which some axes are as long as the example, stored end to end.

    Shapes are tuples in which None stands for the example's length: `(None, D)` for hidden states, `(H, None, None)`
    for attention, `(H, None, d)` for queries, `(K,)` for logits.
    """

    def __init__(
        self,
        lengths: NDArray[np.int32],
        order: NDArray[np.int64],
        shape: tuple[int | None, ...],
        dtype: DTypeLike = np.float16,
    ) -> None:
        """Lay out `len(lengths)` arrays of `shape`, those of the examples `order` one after the other."""
        self.shape = shape
        self.lengths = lengths
        self.dtype = np.dtype(dtype)
        fixed = math.prod(size for size in shape if size is not None)
        sizes = fixed * lengths.astype(np.int64) ** shape.count(None)
        self.size = int(sizes.sum())
        self._starts = np.empty_like(sizes)
        self._starts[order] = np.cumsum(sizes[order]) - sizes[order]
        self._sizes = sizes

    @property
    def bytes(self) -> int:
        """Bytes of all values."""
        return self.size * self.dtype.itemsize

    def pack(self, indices: NDArray[np.int64], padded: Tensor) -> NDArray[np.generic]:
        """Return the real tokens of `padded`, `[B, *shape]` with the padded width for None, as they are stored."""
        values = padded.to(TORCH[self.dtype.name]).cpu().numpy()
        return np.concatenate([values[row][self._real_tokens(index)].ravel() for row, index in enumerate(indices)])

    def read(self, values: NDArray[np.generic], indices: NDArray[np.int64], width: int) -> Tensor:
        """Return `[B, *shape]` out of all stored `values`, padded with zeros to `width` tokens."""
        padded = np.zeros((len(indices), *self._shape(width)), dtype=self.dtype)
        for row, index in enumerate(indices):
            start = self._starts[index]
            example = values[start : start + self._sizes[index]].reshape(self._shape(int(self.lengths[index])))
            padded[row][self._real_tokens(index)] = example
        return torch.from_numpy(padded)

    def _shape(self, length: int) -> tuple[int, ...]:
        return tuple(length if size is None else size for size in self.shape)

    def _real_tokens(self, index: int) -> tuple[slice, ...]:
        return tuple(slice(self.lengths[index]) if size is None else slice(None) for size in self.shape)
