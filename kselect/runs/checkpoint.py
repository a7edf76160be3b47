"""The file that a stopped run resumes from."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kselect.distillation.snapshot import Snapshot

COST = 0.01


class Checkpoint:
    """A file with the latest state; a process killed at any moment leaves the old state or the new one."""

    def __init__(self, path: Path, every: float = 30.0) -> None:
        """Save states to `path`, at most once in `every` seconds; 0 is whenever asked.

        Where writing is so slow that it would cost more than 1 % of the time, it is done more rarely than that.
        """
        self.path = path
        self.every = every
        self._saved = time.monotonic()
        self._cost = 0.0

    @property
    def due(self) -> bool:
        """Whether the next save is due."""
        return time.monotonic() - self._saved >= (max(self.every, self._cost / COST) if self.every else 0.0)

    def save(self, take: Callable[[], Snapshot]) -> None:
        """Write the snapshot that `take` returns."""
        start = time.monotonic()
        take().save(self.path)
        self._saved = time.monotonic()
        self._cost = self._saved - start

    def drop(self) -> None:
        """Remove the saved state, so that nothing can be resumed."""
        self.path.unlink(missing_ok=True)

    def load(self) -> Snapshot | None:
        """Return the last saved state; None if there is none yet."""
        return Snapshot.load(self.path) if self.path.exists() else None
