"""The files that a stopped run resumes from."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.io import writing
from kselect.logging import get_logger

COST = 0.01


class Checkpoint:
    """A file with the latest state, and one with the state before.

    A process killed at any moment leaves the old state or the new one. Where the latest is damaged, as after a power
    cut or by a failing disk, the run resumes from the state before.
    """

    def __init__(self, path: Path, every: float = 30.0, run: str = "") -> None:
        """Save states of `run` to `path`, at most once in `every` seconds; 0 is whenever asked.

        Where writing is so slow that it would cost more than 1 % of the time, it is done more rarely than that.
        """
        self.path = path
        self.before = path.with_name(f"{path.stem}-before{path.suffix}")
        self.every = every
        self.run = run
        self._saved = time.monotonic()
        self._cost = 0.0
        self._is_damaged = False

    @property
    def due(self) -> bool:
        """Whether the next save is due."""
        return time.monotonic() - self._saved >= (max(self.every, self._cost / COST) if self.every else 0.0)

    def save(self, take: Callable[[], Snapshot]) -> None:
        """Write the snapshot that `take` returns."""
        start = time.monotonic()
        if self.path.exists() and not self._is_damaged:
            with writing(self.before):
                self.path.replace(self.before)
        take().save(self.path, self.run)
        self._is_damaged = False
        self._saved = time.monotonic()
        self._cost = self._saved - start

    def drop(self) -> None:
        """Remove the saved states, so that nothing can be resumed."""
        for path in (self.path, self.before):
            path.unlink(missing_ok=True)

    def load(self) -> Snapshot | None:
        """Return the last saved state that is whole; None if there is none yet.

        Raises:
            KselectError: no state is whole, or the last one is of another run.
        """
        problem: KselectError | None = None
        for path in (self.path, self.before):
            if not path.exists():
                continue
            try:
                snapshot = Snapshot.load(path, self.run)
            except KselectError as error:
                self._is_damaged = path == self.path or self._is_damaged
                problem = problem or error
                continue
            if problem is not None:
                get_logger().warning("%s Instead, the run resumes from %s, the one before.", problem, path)
            return snapshot
        if problem is not None:
            raise problem
        return None
