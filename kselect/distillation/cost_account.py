"""What a run's time went into."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PARTS = ("student", "teacher", "probing", "reward", "deciding", "updating")


class CostAccount:
    """Wall time by what it was spent on, in seconds.

    Parts: `student` (training steps), `teacher` (its forward passes), `probing` (looking at both models beside the
    training steps: at all knowledge before the first decision, at [CLS] for who decides by it), `reward`, `deciding`
    and `updating`. A part measured inside another is taken out of the outer one, so parts never overlap. On an
    accelerator the device is waited for at the ends of a part, except of `student` and `teacher`, whose steps must not
    be held up: what of the teacher's work is still under way counts as the student's.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        """Account for work on `device`."""
        self.device = device or torch.device("cpu")
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._inner: list[float] = []

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the time spent inside as `part`."""
        waits = part not in ("student", "teacher")
        if waits:
            self._wait()
        start = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            if waits:
                self._wait()
            elapsed = time.perf_counter() - start
            self.seconds[part] += elapsed - self._inner.pop()
            if self._inner:
                self._inner[-1] += elapsed

    def begin(self) -> None:
        """Begin the account of a run: what was spent before is forgotten, but for the probing that the run rests on."""
        self.seconds = {**dict.fromkeys(PARTS, 0.0), "probing": self.seconds["probing"]}

    @property
    def total(self) -> float:
        """Seconds over all parts."""
        return sum(self.seconds.values())

    def settle(self) -> dict[str, float]:
        """Return the seconds of each part since the last time, and begin a new account."""
        seconds = dict(self.seconds)
        self.seconds = dict.fromkeys(PARTS, 0.0)
        return seconds

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
