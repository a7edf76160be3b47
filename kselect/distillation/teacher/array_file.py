"""One-dimensional `.npy` files: written in one pass with a checksum, and mapped only if they are intact."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import DTypeLike, NDArray

from kselect import io

PREFIX_BYTES = 10  # magic, version and length of a header in version 1.0 of the format


class ArrayWriter:
    """Writes the header of a `.npy` file with one axis, then its values in order.

    Writing in order needs no memory for the whole array and computes the checksum on the way. A full disk raises an
    error in `write`, where a memory-mapped file would end the process by a signal.
    """

    def __init__(self, file: BinaryIO, size: int, dtype: DTypeLike) -> None:
        """Begin an array of `size` values of `dtype`."""
        self._file = file
        self._hash = xxhash.xxh3_128()
        self.bytes = 0
        self._write(memoryview(_header(size, dtype)))

    def append(self, values: NDArray[Any]) -> None:
        """Write `values`, contiguous and with one axis, after those before."""
        self._write(values.view(np.uint8).data)

    @property
    def checksum(self) -> str:
        """Checksum of everything written so far."""
        return self._hash.hexdigest()

    def _write(self, content: memoryview) -> None:
        self._hash.update(content)
        self._file.write(content)
        self.bytes += content.nbytes


def map_array(path: Path, size: int, dtype: DTypeLike, file_bytes: int) -> NDArray[Any] | None:
    """Map an array file into memory.

    The header is compared with the expected one instead of being parsed, since NumPy's parser raises many kinds of
    errors for damaged headers. Padding after the header is ignored, since it depends on the version of NumPy.

    Returns:
        The values, `[size]`; None if the file is missing, or its length or header is different.
    """
    expected = _header(size, dtype)
    try:
        with path.open("rb") as file:
            prefix = file.read(PREFIX_BYTES)
            offset = PREFIX_BYTES + int.from_bytes(prefix[-2:], "little")
            header = file.read(offset - PREFIX_BYTES)
        intact = prefix[:-2] == expected[: PREFIX_BYTES - 2] and header.rstrip() == expected[PREFIX_BYTES:].rstrip()
        data_bytes = size * np.dtype(dtype).itemsize
        if not intact or not path.stat().st_size == file_bytes == offset + data_bytes:
            return None
        # Slices of a memmap are memmaps, which take longer to create than slices of an array.
        return np.asarray(np.memmap(path, dtype, "r", offset, (size,)))
    except OSError:
        return None


def file_checksum(path: Path) -> str | None:
    """Return the checksum of a file's current content; None if it cannot be read."""
    try:
        return io.file_checksum(path)
    except OSError:
        return None


def _header(size: int, dtype: DTypeLike) -> bytes:
    buffer = BytesIO()
    facts = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()
