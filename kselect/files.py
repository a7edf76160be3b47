"""Files that are there in full or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kselect.errors import UserError

TEMPORARY = ".part"


class UnwritableError(UserError):
    """Files that cannot be written, and the `reason` that the system gives."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Give paths to write to, one for each of `paths`, whose places the files take once all are on the disk in full.

    A kill at any moment leaves at each path the old file or the new one. Where writing fails, the old files stay, and
    nothing else is left. Folders are made where they are missing. One process at a time may write to a path.

    Raises:
        UnwritableError: an OSError, here or where the files are written.
    """
    # Of one fixed name each, so that what a kill leaves is written over the next time.
    partials = tuple(path.with_name(f".{path.name}{TEMPORARY}") for path in paths)
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partials
            for partial in partials:
                with partial.open("rb+") as file:
                    os.fsync(file.fileno())  # or a power cut could leave the name without all of its bytes
            for path, partial in zip(paths, partials, strict=True):
                os.replace(partial, path)
        finally:
            for partial in partials:
                partial.unlink(missing_ok=True)
    except OSError as error:
        names, reason = " and ".join(map(str, paths)), error.strerror or str(error)
        raise UnwritableError(
            f"{names} cannot be written ({reason}): see that there is room and leave to write, or give another folder.",
            reason,
        ) from error
