"""A ledger of finished runs: a file of JSON lines, from which a stopped study goes on."""

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
    """The runs in `path`; two of them are the same run where all of `key` is equal.

    Of a mapping, such as settings, whatever is None is left out, so that a ledger outlives settings that come or go.
    """

    path: Path
    key: tuple[str, ...]

    def entries(self) -> list[dict[str, Any]]:
        """Return all finished runs, in the order they finished.

        Raises:
            KselectError: a line that is damaged.
        """
        return [self._entry(number, line) for number, line in enumerate(self._lines(), 1)]

    def holds(self, entry: Mapping[str, Any]) -> bool:
        """Say whether the run of `entry`, which has at least the key, has been finished before."""
        return self._identity(entry) in {self._identity(done) for done in self.entries()}

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add a finished run. Several processes may add to one ledger, each in its turn."""
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
            raise KselectError(f"{self.path}:{number} is no JSON: mend that line, or remove it with its run.") from None
        return entry

    def _identity(self, entry: Mapping[str, Any]) -> str:
        return json.dumps([_given(entry[name]) for name in self.key], sort_keys=True)


def _given(value: Any) -> Any:
    return {name: each for name, each in value.items() if each is not None} if isinstance(value, Mapping) else value
