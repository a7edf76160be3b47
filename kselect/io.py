"""Atomic writing of files, checksums of what is in them, and JSON."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from kselect.errors import KselectError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPORARY = ".part"
BLOCK_BYTES = 2**22
"""Read at a time for a checksum."""


class UnwritableError(KselectError):
    """Files cannot be written."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Replace files atomically.

    A process killed at any moment leaves the old or the new file at each path. If writing fails, the old files are
    unchanged, and no others remain. Missing folders are created. Only one process at a time may write to a path.

    Args:
        paths: the files to replace.

    Yields:
        A temporary path to write to for each of `paths`; all are renamed once they are on the disk in full.

    Raises:
        UnwritableError: an OSError occurred here or in the `with` block.
    """
    # Fixed names, so that files left by a killed process are overwritten the next time.
    partials = tuple(path.with_name(f".{path.name}{TEMPORARY}") for path in paths)
    with writing(*paths):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        modes = [_new_file_mode(partial) for partial in partials]
        try:
            yield partials
            for partial, mode in zip(partials, modes, strict=True):
                _settle(partial, mode)
            for path, partial in zip(paths, partials, strict=True):
                os.replace(partial, path)
        finally:
            for partial in partials:
                partial.unlink(missing_ok=True)


@contextmanager
def replacing_files(folder: Path) -> Iterator[Path]:
    """Replace files of a folder: none before all new ones are on the disk in full. Other files there stay.

    Args:
        folder: the folder, which is made if need be.

    Yields:
        An empty folder to write the files to, which may have folders in it.

    Raises:
        UnwritableError: an OSError occurred here or in the `with` block.
    """
    partial = folder / TEMPORARY
    with writing(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        mode = _new_file_mode(partial / TEMPORARY)
        try:
            yield partial
            files = sorted(path for path in partial.rglob("*") if path.is_file())
            for file in files:
                _settle(file, mode)
            for file in files:
                target = folder / file.relative_to(partial)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def writing(*paths: Path) -> Iterator[None]:
    """Report an OSError in the `with` block, which writes to `paths`, as an `UnwritableError`."""
    try:
        yield
    except OSError as error:
        names, reason = " and ".join(map(str, paths)), error.strerror or str(error)
        raise UnwritableError(
            f"{names} cannot be written ({reason}): check free space and permissions, or give another folder.",
            reason,
        ) from error


def _new_file_mode(path: Path) -> int:
    """Return the permissions that the umask leaves a new file; safetensors makes its files readable by nobody else."""
    path.touch()
    mode = path.stat().st_mode & 0o777
    path.unlink()
    return mode


def _settle(path: Path, mode: int) -> None:
    """Set a file's permissions, and wait until it is on the disk."""
    with path.open("rb+") as file:
        if path.stat().st_mode & 0o777 != mode:
            path.chmod(mode)
        os.fsync(file.fileno())  # otherwise a power cut could leave an incomplete file under the final name


def checksum(contents: Mapping[str, Any]) -> str:
    """Return the checksum (XXH3, 128 bits) of bytes or C-ordered arrays by name."""
    digest = xxhash.xxh3_128()
    for name in sorted(contents):
        digest.update(f"{name}\n".encode())
        digest.update(contents[name])
    return digest.hexdigest()


def file_checksum(path: Path) -> str:
    """Return the checksum (XXH3, 128 bits) of a file, read in blocks."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write several UTF-8 texts; replaces none of the files before all are written."""
    with replacing(*texts) as partials:
        for partial, text in zip(partials, texts.values(), strict=True):
            partial.write_text(text, encoding="utf-8")


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure atomically, in the format that the suffix names; a PNG without one."""
    with replacing(path) as (partial,):
        figure.savefig(partial, format=path.suffix.removeprefix(".") or "png", dpi=150)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinities become null."""
    write_text(path, to_json(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: see `from_json`.
    """
    return from_json(path.read_bytes())


def from_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not UTF-8, not JSON, gives a key twice, or is nested too deeply to be read.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"), object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a dictionary; refuse a key given twice, of which JSON silently takes the last value."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it gives {max(names, key=names.count)!r} twice")
    return values


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON; NumPy arrays and scalars become lists and numbers, NaN and infinities null."""
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
