"""A cache entry: the outputs of one teacher on one set of examples at one precision, in a folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import AcquireReturnProxy, FileLock, Timeout
from numpy.typing import NDArray

from kselect.distillation.teacher.array_file import ArrayWriter, file_checksum, map_array
from kselect.distillation.teacher.cache_index import ArrayRecord, CacheIndex
from kselect.errors import KselectError
from kselect.io import TEMPORARY, UnwritableError, replacing
from kselect.logging import get_logger

if TYPE_CHECKING:
    from kselect.distillation.teacher.ragged import RaggedLayout

INDEX = "index.json"
LOCKS = "locks"


@dataclass
class Addition:
    """Arrays being written to an entry.

    Attributes:
        writers: the writer of each array, by name.
        overflowing: names of arrays found to have values outside half precision.
        dropped: names of arrays that will not be stored; includes `overflowing`.
    """

    writers: dict[str, ArrayWriter] = field(default_factory=dict)
    overflowing: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)


class CacheEntry:
    """A folder of arrays, and an index of those that are complete.

    Only a process that holds the entry's lock writes. Files are replaced atomically, the index last, so readers need no
    lock.
    """

    def __init__(self, folder: Path) -> None:
        """Read the index of `folder`, if there is one."""
        self.folder = folder
        self.key = folder.name
        self.index = self._read_index()

    @property
    def arrays(self) -> Mapping[str, ArrayRecord]:
        """Size and checksum of each array, by name."""
        return self.index.arrays

    @property
    def about(self) -> Mapping[str, Any]:
        """Description for people: task, teacher, precision, examples, tokens; empty without an intact index."""
        return self.index.about

    @property
    def overflowing(self) -> tuple[str, ...]:
        """Names of the arrays with values outside half precision, which are not stored."""
        return self.index.overflowing

    @property
    def short(self) -> str:
        """First characters of the key, which identify the entry to people."""
        return self.key[:12]

    @property
    def unfinished(self) -> bool:
        """Whether no pass has completed yet: the first one is running, or was interrupted."""
        return not self.about and not self._index_path.exists()

    @property
    def being_filled(self) -> bool:
        """Whether a process holds the entry's lock; False if the lock may not be opened."""
        if not self._lock_path.exists():  # acquiring would create it, perhaps in another user's folder
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
        """Total size of the folder's files, indexed or not; 0 if the folder has been deleted."""
        total = 0
        with suppress(FileNotFoundError):
            for file in self.folder.iterdir():
                with suppress(FileNotFoundError):  # renamed by a process that is filling the entry
                    total += file.stat().st_size
        return total

    @property
    def last_used(self) -> float:
        """When a run last opened the entry, in seconds since the epoch; 0 if it has been deleted."""
        for path in (self._index_path, self.folder):
            with suppress(FileNotFoundError):
                return path.stat().st_mtime
        return 0.0

    def open_array(self, name: str, layout: RaggedLayout) -> NDArray[Any] | None:
        """Map the array `name`; None if it is missing or damaged.

        The whole content is checked against its checksum, in one pass that runs as fast as the disk reads and leaves
        the file in memory for the first epoch.
        """
        if name not in self.arrays:
            return None
        values = map_array(self._path(name), layout.size, layout.dtype, self.arrays[name].bytes)
        if values is None or file_checksum(self._path(name)) != self.arrays[name].checksum:
            get_logger().warning("%s is damaged or missing and will be computed again.", self._path(name))
            return None
        with suppress(OSError):  # the time of last use is a hint, and another user's folder may be read-only
            os.utime(self._index_path)
        return values

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Hold the entry's lock, waiting for it if necessary, and read the index again.

        No process can clear the entry meanwhile.
        """
        try:
            with self._acquired():
                self.folder.mkdir(exist_ok=True)  # the previous holder of the lock may have deleted it
                for orphan in self.folder.glob(f"*{TEMPORARY}"):
                    orphan.unlink()
                self.index = self._read_index()
                if self.index.damaged:
                    get_logger().warning(
                        "%s is damaged: the teacher's outputs will be computed again.", self._index_path
                    )
                yield
        except (OSError, UnwritableError) as error:
            reason = error.reason if isinstance(error, UnwritableError) else error.strerror or error
            raise KselectError(
                f"The teacher's outputs cannot be stored in {self.folder.parent} ({reason}): give another cache_dir, "
                f"or set teacher_cache to 0 to run the teacher for every batch.",
                setting="cache_dir",
            ) from error

    @contextmanager
    def adding(self, layouts: Mapping[str, RaggedLayout], about: Mapping[str, Any]) -> Iterator[Addition]:
        """Write arrays, within `filling`; on exit, those not dropped are added to the index.

        Raises:
            OSError: the disk does not have enough room.
            UnwritableError: the files cannot be written for another reason.
        """
        needed = sum(layout.bytes for layout in layouts.values())
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            sizes = f"{needed / 2**20:.0f} MiB are needed, {free / 2**20:.0f} are free"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {sizes}")
        addition = Addition()
        with replacing(*map(self._path, layouts)) as partials, ExitStack() as stack:
            for (name, layout), partial in zip(layouts.items(), partials, strict=True):
                file = stack.enter_context(partial.open("wb"))
                addition.writers[name] = ArrayWriter(file, layout.size, layout.dtype)
            yield addition
        for name in addition.dropped:
            self._path(name).unlink(missing_ok=True)
        written = {name: ArrayRecord(writer.bytes, writer.checksum) for name, writer in addition.writers.items()}
        self.index = self.index.updated(about, written, addition.dropped, addition.overflowing)
        with replacing(self._index_path) as (partial,):
            partial.write_text(self.index.to_json(self.key), encoding="utf-8")

    def damaged(self) -> list[Path]:
        """Return the files whose content is not what was written, by checksum; or the index, if it is damaged."""
        if not self.about and self._index_path.exists():
            return [self._index_path]
        checksums = {self._path(name): record.checksum for name, record in self.arrays.items()}
        return [path for path, checksum in checksums.items() if file_checksum(path) != checksum]

    def clear(self) -> bool:
        """Delete the folder, unless a process is filling it; returns whether it is gone.

        Processes that have mapped its files can still read them.
        """
        try:
            with self._lock.acquire(blocking=False), suppress(FileNotFoundError):  # cleared by another process
                shutil.rmtree(self.folder)
        except Timeout:
            return False
        except OSError as error:
            raise KselectError(f"{self.folder} cannot be deleted ({error.strerror}): clear it as its owner.") from None
        return True

    def _acquired(self) -> AcquireReturnProxy[FileLock]:
        """Acquire the lock; log a warning if that means waiting, since a pass of the teacher may take long."""
        try:
            return self._lock.acquire(blocking=False)
        except Timeout:
            message = "Waiting for another run, which is computing the teacher's outputs in %s."
            get_logger().warning(message, self.folder)
            return self._lock.acquire()

    @cached_property
    def _lock(self) -> FileLock:
        # Outside the entry and never deleted: two processes could each hold a copy of a deleted lock.
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

    def _read_index(self) -> CacheIndex:
        return CacheIndex.read(self._index_path, self.key)
