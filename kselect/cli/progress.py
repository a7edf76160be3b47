"""Progress of a long job: a bar on a terminal, now and then a line where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, TextIO

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from kselect.cli.terminal import live_console


class Progress:
    """Shows how far a job is; a context manager.

    >>> with Progress(total=100, title="Distilling mrpc", stream=sys.stdout) as progress:
    ...     progress.advance(100, loss="0.52")  # doctest: +ELLIPSIS
    Distilling mrpc: 100/100 steps (100 %), ... gone, loss 0.52

    Args:
        total: training steps of the whole job.
        title: what the job is, in a few words.
        done: steps done before, by an earlier part of the same job.
        every: seconds between two lines where there is no terminal; the end always has one.
        stream: where to write; standard error by default, so that standard output holds results only.
    """

    def __init__(
        self, total: int, title: str, *, done: int = 0, every: float = 5.0, stream: TextIO | None = None
    ) -> None:
        self.total = total
        self.title = title
        self.done = done
        self._every = every
        self._stream = sys.stderr if stream is None else stream
        self._facts = ""
        self._start = self._last_line = time.monotonic()
        self._first: tuple[float, int] | None = None  # when, and at how many; what comes before it comes only once
        self._printed = -1
        self._bar = _bar(self._stream, total)

    def advance(self, steps: int = 1, **facts: str) -> None:
        """Count steps and show facts beside them, such as `loss="0.52"`; the last given ones stay."""
        self.done += steps
        self._first = self._first or (time.monotonic(), self.done)
        if facts:
            self._facts = ", ".join(f"{name} {value}" for name, value in facts.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done, facts=self._facts)
        elif time.monotonic() - self._last_line >= self._every:
            self._print_line()

    def part(self, title: str) -> Callable[[int, int], None]:
        """Return a function of examples done and their total, which shows how far a part of the job is meanwhile.

        It may come again. Without a terminal one that is over before a line is due is not told of.
        """
        task: TaskID | None = None

        def show(done: int, total: int) -> None:
            nonlocal task
            if self._bar is not None:
                task = self._bar.add_task(title, unit="examples", facts="") if task is None else task
                self._bar.update(task, completed=done, total=total, visible=done < total)
            elif time.monotonic() - self._last_line >= self._every:
                self._last_line = time.monotonic()
                print(f"{title}: {done}/{total} examples ({100 * done // total} %)", file=self._stream, flush=True)

        return show

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        self._printed = self.done
        elapsed = self._last_line - self._start
        parts = [
            f"{self.done}/{self.total} steps ({100 * self.done // max(self.total, 1)} %)",
            f"{_clock(elapsed)} gone",
        ]
        if self._first and self._first[1] < self.done < self.total:
            pace = (self._last_line - self._first[0]) / (self.done - self._first[1])
            parts.append(f"{_clock(pace * (self.total - self.done))} left")
        if self._facts:
            parts.append(self._facts)
        print(f"{self.title}: {', '.join(parts)}", file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.add_task(self.title, total=self.total, completed=self.done, unit="steps", facts="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._printed != self.done:
            self._print_line()


def _bar(stream: TextIO, total: int) -> Bar | None:
    console = live_console(stream)
    if console is None:
        return None
    # Where a terminal is narrow, the facts give way first, then the title and the unit, and never how far the job is.
    narrow: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
    return Bar(
        TextColumn("{task.description}", markup=False, table_column=Column(**narrow)),  # markup would eat [..]
        BarColumn(bar_width=16, table_column=Column(min_width=8)),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=len(f"{total}/{total}"))),
        TextColumn("{task.fields[unit]}", table_column=Column(**narrow)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=len("0:00:00"))),
        TextColumn("{task.fields[facts]}", markup=False, table_column=Column(ratio=1, **narrow)),
        console=console,
        expand=True,
    )


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
