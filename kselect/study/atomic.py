"""Texts and JSON, there in full or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kselect.files import replacing


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text beside `path` and move it there in one step, so that no reader sees a part of it.

    Raises:
        UserError: it cannot be written.
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
