"""Files that are there in full or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kselect.errors import KselectError

TEMPORARY = ".part"


class UnwritableError(KselectError):
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


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text beside `path` and move it there in one step, so that no reader sees a part of it.

    Raises:
        KselectError: it cannot be written.
    """
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files as `write_text` does, and move none to its place before all of them are written."""
    with replacing(*texts) as partials:
        for partial, text in zip(partials, texts.values(), strict=True):
            partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON in one step; see `to_json` for numbers that JSON lacks."""
    write_text(path, to_json(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Return what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON with NumPy scalars as numbers and with NaN and infinities, which JSON lacks, as null."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
