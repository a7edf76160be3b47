"""Ctrl-C, and the signals that ask a process to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from kselect.launcher import process_count

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPING = b"\nkselect: stopping at the end of this phase; Ctrl-C again stops at once\n"
PATIENCE = 8.0
"""Seconds that a phase may go on after SIGTERM or SIGHUP: who sends them usually kills a process after 10."""


class Interruption:
    """A context in which a first Ctrl-C, SIGTERM or SIGHUP only sets `requested`; a second raises KeyboardInterrupt.

    So does the first SIGTERM or SIGHUP, where the phase goes on for more than `patience` seconds.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.requested = False
        self._patience = patience
        self._former: dict[int, Any] = {}

    def reached_end_of_phase(self) -> bool:
        """Return whether to save the state and stop, which may take its time then."""
        if self.requested and self._former:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return self.requested

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested and process_count() > 1:
            return  # a launcher passes on a signal that a terminal sends to all, and ends processes by itself
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        if number != signal.SIGINT:
            signal.setitimer(signal.ITIMER_REAL, self._patience)
        with suppress(OSError):  # the terminal that has hung up
            os.write(2, STOPPING)  # a handler may run in the middle of another write to sys.stderr

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # set by the process that started this one
                    self._former[number] = signal.signal(number, self._note)
            self._former[signal.SIGALRM] = signal.signal(signal.SIGALRM, interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        if self._former:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._former.items():
            signal.signal(number, handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal as Ctrl-C."""
    raise KeyboardInterrupt


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP stop the process as Ctrl-C does, where they would have killed it."""
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    numbers = [number for number in SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
