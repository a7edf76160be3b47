"""The file metrics.jsonl of a run: a line for each phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kselect import io

METRICS = "metrics.jsonl"


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Append the line of a phase."""
    with path.open("a", encoding="utf-8") as file:
        file.write(io.to_json(record) + "\n")


def restore(path: Path, phases: Sequence[Mapping[str, Any]]) -> int:
    """Write lines anew where they are missing or damaged, as after a power cut.

    Args:
        path: the file, which need not exist.
        phases: the records of all phases so far, in order.

    Returns:
        How many lines were written anew.
    """
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    kept = 0
    while kept < min(len(lines), len(phases)) and _is_line_of(lines[kept], phases[kept]):
        kept += 1
    if kept < len(phases):
        whole = [line.decode() for line in lines[:kept]]
        io.write_text(path, "".join(f"{line}\n" for line in [*whole, *map(io.to_json, phases[kept:])]))
    return len(phases) - kept


def _is_line_of(line: bytes, phase: Mapping[str, Any]) -> bool:
    """Return whether a line of metrics.jsonl is that of a phase."""
    try:
        record = io.from_json(line)
    except ValueError:
        return False
    return isinstance(record, dict) and all(record.get(name) == phase[name] for name in ("step", "phase"))
