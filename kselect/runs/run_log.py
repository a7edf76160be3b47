"""A ledger of finished and failed runs: a file of JSON lines, from which a stopped study resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from kselect import io
from kselect.errors import KselectError


@dataclass(frozen=True)
class Ledger:
    """The runs recorded in a file; two entries are of the same run where all of `key` is equal.

    In a mapping, such as settings, None counts as missing, so that a ledger outlives settings that come or go. An entry
    with an `error` is of a run that failed.
    """

    path: Path
    key: tuple[str, ...]

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries, in the order they were recorded."""
        return [self._entry(number, line) for number, line in enumerate(self._lines(), 1)]

    def latest(self) -> dict[str, dict[str, Any]]:
        """Return the last entry of each run by its `identity`; a finished one wins over later failures."""
        latest: dict[str, dict[str, Any]] = {}
        for entry in self.entries():
            identity = self.identity(entry)
            if "error" not in entry or "error" in latest.get(identity, entry):
                latest[identity] = entry
        return latest

    def finished(self) -> set[str]:
        """Return the identities of the runs that finished."""
        return {identity for identity, entry in self.latest().items() if "error" not in entry}

    def holds(self, entry: Mapping[str, Any]) -> bool:
        """Return whether the run of `entry`, which has at least the key, has finished before."""
        return self.identity(entry) in self.finished()

    def identity(self, entry: Mapping[str, Any]) -> str:
        """Return the key of an entry as a text."""
        return json.dumps([_given(entry[name]) for name in self.key], sort_keys=True)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry. Several processes may add to one ledger at the same time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without the lock a line that another process is writing would be taken for one that a kill has cut off.
        with FileLock(self.path.with_name(f".{self.path.name}.lock")), self.path.open("ab") as file:
            whole = sum(map(len, self._lines()))
            if whole < file.tell():  # a line was being written when its process was killed
                file.truncate(whole)
            file.write(f"{io.to_json(dict(entry))}\n".encode())

    def _lines(self) -> list[bytes]:
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        return [line for line in lines if line.endswith(b"\n")]

    def _entry(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            raise KselectError(f"{self.path}:{number} is not JSON: fix that line, or remove it with its run.") from None
        return entry


def _given(value: Any) -> Any:
    return {name: each for name, each in value.items() if each is not None} if isinstance(value, Mapping) else value
