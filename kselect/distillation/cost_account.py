"""Wall time of a run by purpose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PARTS = ("student", "teacher", "probing", "reward", "deciding", "updating")


class CostAccount:
    """Wall time by purpose, in seconds.

    The purposes are `student` (training steps), `teacher` (its forward passes), `probing` (forward passes outside
    training steps: initial losses, and facts and [CLS] states for agents that observe them; making augmented texts),
    `reward`, `deciding` and `updating`. Time measured inside another purpose is not counted twice. On an accelerator,
    the device is synchronised at both ends of a measurement, except for `student` and `teacher`, which must not be
    slowed down: unfinished work of the teacher is counted as the student's.

    Attributes:
        clock: Returns the time in seconds; a benchmark on a machine that others use, too, puts processor time here.
    """

    clock = staticmethod(time.perf_counter)

    def __init__(self, device: torch.device | None = None) -> None:
        """Account for work on `device`."""
        self.device = device or torch.device("cpu")
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._nested: list[float] = []

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the time spent inside as `part`."""
        synchronised = part not in ("student", "teacher")
        if synchronised:
            self._synchronise()
        start = self.clock()
        self._nested.append(0.0)
        try:
            yield
        finally:
            if synchronised:
                self._synchronise()
            elapsed = self.clock() - start
            self.seconds[part] += elapsed - self._nested.pop()
            if self._nested:
                self._nested[-1] += elapsed

    def begin(self) -> None:
        """Begin the account of a run: reset everything except the probing that the run is based on."""
        self.seconds = {**dict.fromkeys(PARTS, 0.0), "probing": self.seconds["probing"]}

    @property
    def total(self) -> float:
        """Seconds over all purposes."""
        return sum(self.seconds.values())

    def settle(self) -> dict[str, float]:
        """Return the seconds of each purpose since the last call, and reset all."""
        seconds = dict(self.seconds)
        self.seconds = dict.fromkeys(PARTS, 0.0)
        return seconds

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
