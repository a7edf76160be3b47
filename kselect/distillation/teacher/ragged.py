"""Storage of examples of unequal length, without padding."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

TORCH_DTYPES = {"float16": torch.float16, "float32": torch.float32}


class RaggedLayout:
    """Layout of a flat array that stores one array per example, in which some axes are as long as the example.

    Attributes:
        shape: of one example's array, with None for the example's length: `(None, D)` for hidden states, `(H, None,
            None)` for attention, `(H, None, d)` for queries, `(K,)` for logits.
        lengths: length of each example, `[N]`.
        dtype: of the values.
        size: number of values of all examples.
    """

    def __init__(
        self,
        lengths: NDArray[np.int32],
        order: NDArray[np.int64],
        shape: tuple[int | None, ...],
        dtype: DTypeLike = np.float16,
    ) -> None:
        """Lay out the arrays of `len(lengths)` examples one after another, in `order`."""
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
        """Size of all values in bytes."""
        return self.size * self.dtype.itemsize

    def pack(self, indices: NDArray[np.int64], padded: Tensor) -> NDArray[np.generic]:
        """Return the values of the real tokens of `padded`, flat and in stored order."""
        values = padded.to(TORCH_DTYPES[self.dtype.name]).cpu().numpy()
        return np.concatenate([values[row][self._real_tokens(index)].ravel() for row, index in enumerate(indices)])

    def unpack(self, values: NDArray[np.generic], indices: NDArray[np.int64], width: int) -> Tensor:
        """Return the examples at `indices` from the stored `values`, `[B, *shape]`, zero-padded to `width` tokens."""
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
