"""Files that are there in full or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text beside `path` and move it there in one step, so that no reader sees a part of it."""
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files as `write_text` does, and move none to its place before all of them are written."""
    with ExitStack() as stack:
        written = {}
        for path, text in texts.items():
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            stack.callback(Path(temporary).unlink, missing_ok=True)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            # mkstemp makes files for their owner alone; a run folder is as readable as any other folder.
            os.chmod(temporary, 0o666 & ~_umask())
            written[path] = temporary
        for path, temporary in written.items():
            os.replace(temporary, path)


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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
