"""List, verify or clear the teacher outputs stored on disk.

An entry holds what one teacher gives on one set of examples at one precision. Nothing is deleted automatically; what is
cleared is computed again when a run wants it. Clearing all entries also clears the facts of runs.

Examples:
  kselect cache list
  kselect cache verify --entry 3f9a
  kselect cache clear --cache_dir /scratch/kselect
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kselect.cli.console import print_table
from kselect.config import CacheSettings
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.cache_entry import CacheEntry
from kselect.errors import KselectError

ENTRY = ("entry", "entries")
COLUMNS = ["entry", "task", "teacher", "precision", "holds", "MiB", "bytes/token", "last used"]


def run(settings: CacheSettings, data: None = None) -> None:
    """List, verify or clear the entries."""
    config = settings.cache
    folder = CacheFolder(config.cache_dir)
    entries = folder.entries(config.entry or "")
    if config.action == "clear" and config.entry is None:
        folder.clear_facts()
    if not entries:
        print(f"{folder.path} holds no teacher outputs.")
    else:
        {"list": _list, "verify": _verify, "clear": _clear}[config.action](folder, entries)


def _list(folder: CacheFolder, entries: Sequence[CacheEntry]) -> None:
    rows = [_row(entry) for entry in entries]
    total = sum(entry.bytes for entry in entries)
    print_table(f"Teacher outputs in {folder.path}", COLUMNS, [*rows, ["total", *[""] * 4, _mebibytes(total), "", ""]])


def _row(entry: CacheEntry) -> list[str]:
    about = entry.about
    return [
        entry.short,
        about.get("task", ""),
        about.get("teacher", ""),
        about.get("precision", ""),
        _holds(entry),
        _mebibytes(entry.bytes),
        f"{entry.bytes / about['tokens']:.0f}" if about else "",
        f"{datetime.fromtimestamp(entry.last_used):%Y-%m-%d %H:%M}",
    ]


def _holds(entry: CacheEntry) -> str:
    """Say which kinds of output an entry has, each with its layers, or how far it is from having any."""
    if entry.unfinished:
        return "being filled" if entry.being_filled else "unfinished"
    layers: dict[str, list[int]] = {}
    for name in entry.arrays:
        kind, _, layer = name.partition("-")
        layers.setdefault(kind, []).extend([int(layer)] if layer else [])
    return " ".join(":".join([kind, *[",".join(map(str, sorted(of)))] * bool(of)]) for kind, of in layers.items())


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f}"


def _verify(folder: CacheFolder, entries: Sequence[CacheEntry]) -> None:
    damaged = {entry.short: files for entry in entries if (files := entry.damaged())}
    if damaged:
        named = ", ".join(str(file) for files in damaged.values() for file in files)
        raise KselectError(
            f"{named}: not what was written. Clear what is damaged, and it is computed again: "
            f"{'; '.join(f'kselect cache clear --entry {key}' for key in damaged)}."
        )
    if sound := [entry for entry in entries if not entry.unfinished]:
        count = sum(len(entry.arrays) for entry in sound)
        verb = "is" if count == 1 else "are"
        print(f"{_count(count, 'file', 'files')} of {_count(len(sound), *ENTRY)} {verb} what was written.")
    for entry in (entry for entry in entries if entry.unfinished):
        key = entry.short
        if entry.being_filled:
            print(f"{key} is being filled by a run: nothing to verify yet.")
        else:
            print(
                f"{key} is unfinished, as a run was stopped while filling it: a run that wants it fills it anew, and "
                f"kselect cache clear --entry {key} deletes it."
            )


def _clear(folder: CacheFolder, entries: Sequence[CacheEntry]) -> None:
    freed, busy = [], []
    for entry in entries:
        size = entry.bytes
        if entry.clear():
            freed.append(size)
        else:
            busy.append(entry.short)
    if freed:
        print(f"Cleared {_count(len(freed), *ENTRY)}, {_mebibytes(sum(freed))} MiB, from {folder.path}.")
    if busy:
        raise KselectError(f"A run is filling {', '.join(busy)}: clear it once the run has stopped.")


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
