"""What one teacher gives on one set of examples at one precision, in a folder of its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import xxhash
from filelock import AcquireReturnProxy, FileLock, Timeout
from numpy.typing import DTypeLike, NDArray

from kselect.errors import KselectError
from kselect.io import TEMPORARY, UnwritableError, replacing
from kselect.logging import get_logger

if TYPE_CHECKING:
    from kselect.distillation.teacher.ragged import Ragged


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


FORMAT = 1  # of files and of the pass that fills them; another one is another key
INDEX = "index.json"
LOCKS = "locks"


@dataclass
class Addition:
    """Arrays being written to an entry.

    writers: where each array's values go, by name. beyond: arrays found to hold values beyond half precision.
    dropped: arrays, those among them, that are not to be kept.
    """

    writers: dict[str, ArrayWriter] = field(default_factory=dict)
    beyond: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)


class CacheEntry:
    """A folder of arrays, and an index of those that are there in full.

    The index names each array's bytes and checksum, the arrays that half precision cannot hold, and what the entry is
    of, for people. Only a process that holds the entry's lock writes; files are replaced in one step, the index last,
    so whoever reads needs no lock.
    """

    def __init__(self, folder: Path) -> None:
        """Look at `folder`, whose name is the key of what it holds; it need not be there."""
        self.folder = folder
        self.key = folder.name
        self.index = self._read_index()

    @property
    def arrays(self) -> dict[str, dict[str, Any]]:
        """Bytes and checksum of each array, by name."""
        return self.index["arrays"]

    @property
    def about(self) -> dict[str, Any]:
        """What the entry is of, for people: task, teacher, precision, examples, tokens; empty without a sound index."""
        return self.index["about"]

    @property
    def beyond(self) -> list[str]:
        """Names of the arrays with values that half precision cannot hold, which are not kept."""
        return self.index["beyond"]

    @property
    def short(self) -> str:
        """The beginning of its key, by which people are told of it."""
        return self.key[:12]

    @property
    def unfinished(self) -> bool:
        """Whether no pass over the entry has come to its end: a first one is under way, or was stopped."""
        return not self.about and not self._index_path.exists()

    @property
    def being_filled(self) -> bool:
        """Whether a process holds the entry to fill it; where its lock may not be opened, none is seen."""
        if not self._lock_path.exists():  # and is not made here: the folder may be somebody else's
            return False
        try:
            with self._lock.acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    @property
    def bytes(self) -> int:
        """Bytes of all files in the folder, in the index or not; none where it has been deleted meanwhile."""
        total = 0
        with suppress(FileNotFoundError):
            for file in self.folder.iterdir():
                with suppress(FileNotFoundError):  # a run that fills the entry has just given it its name
                    total += file.stat().st_size
        return total

    @property
    def last_used(self) -> float:
        """When a run last opened the entry, in seconds since the epoch; 0 where it has been deleted meanwhile."""
        for path in (self._index_path, self.folder):
            with suppress(FileNotFoundError):
                return path.stat().st_mtime
        return 0.0

    def read(self, name: str, layout: Ragged) -> NDArray[Any] | None:
        """Map the array `name`; None where it is not there. One that is not as it was written is as good as missing.

        Its length and header are compared. A checksum of gigabytes at every start would cost what the cache saves, and
        would find only what befalls a disk later, since nothing is in the index before it is on the disk in full.
        """
        if name not in self.arrays:
            return None
        values = mapped(self._path(name), layout.size, layout.dtype, self.arrays[name]["bytes"])
        if values is None:
            get_logger().warning("%s is not as it was written, and is made anew.", self._path(name))
            return None
        with suppress(OSError):  # in somebody else's folder the time of last use, a hint for people, stays as it was
            os.utime(self._index_path)
        return values

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Hold the entry alone, after waiting for whoever else fills it, with the index as they left it.

        Until this ends nobody can clear the entry either.

        Raises:
            KselectError: the folder cannot be written to, or its disk is full.
        """
        try:
            with self._acquired():
                self.folder.mkdir(exist_ok=True)  # no sooner: whoever held the lock may have deleted it
                for orphan in self.folder.glob(f"*{TEMPORARY}"):
                    orphan.unlink()
                self.index = self._read_index()
                yield
        except (OSError, UnwritableError) as error:
            reason = error.reason if isinstance(error, UnwritableError) else error.strerror or error
            raise KselectError(
                f"The teacher's outputs cannot be kept in {self.folder.parent} ({reason}): give another --cache_dir, "
                f"or --teacher_cache 0 to run the teacher for every batch."
            ) from error

    @contextmanager
    def adding(self, layouts: Mapping[str, Ragged], about: Mapping[str, Any]) -> Iterator[Addition]:
        """Write arrays of the given layouts, in a `filling`; at the end those that were kept are in the index.

        Raises:
            OSError: the disk has no room for them.
            UnwritableError: whatever else is wrong with it.
        """
        needed = sum(layout.bytes for layout in layouts.values())
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            told = f"{needed / 2**20:.0f} MiB are needed, {free / 2**20:.0f} are free"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {told}")
        addition = Addition()
        with replacing(*map(self._path, layouts)) as partials, ExitStack() as stack:
            for (name, layout), partial in zip(layouts.items(), partials, strict=True):
                file = stack.enter_context(partial.open("wb"))
                addition.writers[name] = ArrayWriter(file, layout.size, layout.dtype)
            yield addition
        for name in addition.dropped:
            self._path(name).unlink(missing_ok=True)
        written = {name: {"bytes": one.bytes, "checksum": one.checksum} for name, one in addition.writers.items()}
        arrays = {name: facts for name, facts in (self.arrays | written).items() if name not in addition.dropped}
        self.index = {
            "format": FORMAT,
            "key": self.key,
            "about": dict(about),
            "arrays": arrays,
            "beyond": sorted({*self.beyond, *addition.beyond}),
        }
        with replacing(self._index_path) as (partial,):
            partial.write_text(json.dumps(self.index, indent=2), encoding="utf-8")

    def damaged(self) -> list[Path]:
        """Return the files that are not, byte for byte, what was written; of an index that cannot be read, that."""
        if not self.about and self._index_path.exists():
            return [self._index_path]
        paths = {self._path(name): facts["checksum"] for name, facts in self.arrays.items()}
        return [path for path, written in paths.items() if checksum(path) != written]

    def clear(self) -> bool:
        """Delete the folder, unless a process is filling it; returns whether it is gone.

        Whoever has mapped its files goes on reading them.

        Raises:
            KselectError: it may not be deleted.
        """
        try:
            with self._lock.acquire(blocking=False), suppress(FileNotFoundError):  # another has cleared it
                shutil.rmtree(self.folder)
        except Timeout:
            return False
        except OSError as error:
            raise KselectError(f"{self.folder} cannot be deleted ({error.strerror}): clear it as its owner.") from None
        return True

    def _acquired(self) -> AcquireReturnProxy[FileLock]:
        """Take the lock, and say so where that means waiting, which may take as long as a pass of the teacher."""
        try:
            return self._lock.acquire(blocking=False)
        except Timeout:
            told = "Waiting for another run, which is computing the teacher's outputs in %s."
            get_logger().warning(told, self.folder)
            return self._lock.acquire()

    @cached_property
    def _lock(self) -> FileLock:
        # Beside the folders, and never deleted: of a deleted lock two processes may hold two copies.
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._lock_path)

    @property
    def _lock_path(self) -> Path:
        return self.folder.parent / LOCKS / self.key

    @property
    def _index_path(self) -> Path:
        return self.folder / INDEX

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _read_index(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {"about": {}, "arrays": {}, "beyond": []}
        try:
            index = json.loads(self._index_path.read_bytes())
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError):
            index = {}
        if not isinstance(index, dict) or (index.get("format"), index.get("key")) != (FORMAT, self.key):
            return nothing  # damaged, of another version, or copied here from another key
        return index
