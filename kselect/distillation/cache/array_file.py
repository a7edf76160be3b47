"""A flat array in a file: written from front to back, mapped to be read."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import DTypeLike, NDArray

BLOCK = 2**22  # bytes read at a time to be checked


class ArrayWriter:
    """Writes the header of a `.npy` file of one axis, then its values as they come.

    Writing in order needs no room in memory, works the checksum out on the way, and meets a full disk as an error of
    `write`, where a mapped file would meet it as a signal that ends the process.
    """

    def __init__(self, file: BinaryIO, size: int, dtype: DTypeLike) -> None:
        """Begin an array of `size` values of `dtype`."""
        self._file = file
        self._hash = xxhash.xxh3_128()
        self.bytes = 0
        header = BytesIO()
        facts = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (size,)}
        np.lib.format.write_array_header_1_0(header, facts)
        self._write(header.getbuffer())

    def append(self, values: NDArray[Any]) -> None:
        """Write `values`, contiguous and of one axis, behind those before."""
        self._write(values.view(np.uint8).data)

    @property
    def checksum(self) -> str:
        """Of what has been written so far."""
        return self._hash.hexdigest()

    def _write(self, content: memoryview) -> None:
        self._hash.update(content)
        self._file.write(content)
        self.bytes += content.nbytes


def mapped(path: Path, size: int, dtype: DTypeLike, file_bytes: int) -> NDArray[Any] | None:
    """Map an array file; None where it is missing, of another length, or of another header."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        intact = path.stat().st_size == file_bytes
    except (OSError, ValueError, EOFError):
        return None
    if not intact or values.shape != (size,) or values.dtype != np.dtype(dtype):
        return None
    return np.asarray(values)  # slices of a memmap are memmaps, which take longer to make


def checksum(path: Path) -> str | None:
    """Return the checksum of a file as it is now; None where it cannot be read."""
    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
