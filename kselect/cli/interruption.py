"""Ctrl-C and SIGTERM, heard at once and acted on when it is safe."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HEARD = b"\nkselect: stopping at the end of this phase; Ctrl-C again stops at once\n"


class Interruption:
    """A context in which the first signal is only noted, as `requested`, and the second is a KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self._former: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        os.write(2, HEARD)  # a handler may stand in the midst of another write to sys.stderr

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as whoever started this process wants it
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
