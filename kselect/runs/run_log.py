"""A ledger of finished and failed runs: a file of JSON lines, from which a stopped study resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from filelock import FileLock

from kselect import io
from kselect.errors import KselectError

RUNS = "runs.jsonl"
"""The ledger in the folder of a study."""


@dataclass(frozen=True)
class Ledger:
    """The runs recorded in a file; two entries are of the same run where all of `key` is equal.

    In a mapping, such as settings, None counts as missing, so that a ledger outlives settings that come or go. An entry
    with an `error` is of a run that failed.

    Attributes:
        path: The file.
        key: Fields that every entry has, and that identify its run.
        numbers: Names of the numbers that an entry of a finished run has at least, by field.
    """

    path: Path
    key: tuple[str, ...]
    numbers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
        with io.writing(self.path), self._alone(), self.path.open("ab") as file:
            whole = sum(map(len, self._lines()))
            if whole < file.tell():  # a line was being written when its process was killed
                file.truncate(whole)
            file.write(f"{io.to_json(dict(entry))}\n".encode())

    def _alone(self) -> FileLock:
        """Return a lock, without which a line that another process is writing would be taken for one cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_name(f".{self.path.name}.lock"))

    def _lines(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise KselectError(f"{self.path} cannot be read ({error.strerror}): check its permissions.") from error
        *whole, rest = content.split(b"\n")
        if not whole and b"\0" in rest:  # after whole lines it is one that a power cut has cut off
            raise KselectError(f"{self.path} has zeros instead of lines: restore it, or remove it with its runs.")
        return [line + b"\n" for line in whole]

    def _entry(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = io.from_json(line)
        except ValueError:
            problem: str | None = "is not JSON"
        else:
            problem = self._problem(entry)
            if problem is None:
                return dict(entry)
        raise KselectError(f"{self.path}:{number} {problem}: fix that line, or remove it with its run.")

    def _problem(self, entry: Any) -> str | None:
        """Return what is wrong with an entry, if anything."""
        if not isinstance(entry, dict):
            return "is not an entry of a run"
        missing = [name for name in self.key if name not in entry]
        if missing:
            return f"lacks {', '.join(missing)}"
        try:
            self.identity(entry)
        except RecursionError:
            return "is nested too deeply"
        if "error" in entry:
            return None
        missing = [name for group, names in self.numbers.items() for name in _missing(entry, group, names)]
        return f"has no {', '.join(missing)}" if missing else None


def _missing(entry: Mapping[str, Any], group: str, names: tuple[str, ...]) -> list[str]:
    """Return the numbers that a group of an entry does not have, or the group itself."""
    values = entry.get(group)
    if not isinstance(values, Mapping):
        return [group]
    return [f"{group}/{name}" for name in names if not _is_number(values.get(name))]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _given(value: Any) -> Any:
    return {name: each for name, each in value.items() if each is not None} if isinstance(value, Mapping) else value
