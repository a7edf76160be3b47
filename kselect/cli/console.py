"""Output on the console: notices, progress and tables."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table
from rich.text import Text

from kselect.analysis.inspection.report import Section
from kselect.errors import printable
from kselect.logging import is_quiet


def notice(line: str) -> None:
    """Print a line of information or a warning on standard error, unless only errors are shown."""
    if not is_quiet():
        print(printable(line), file=sys.stderr, flush=True)


def live_console(stream: TextIO) -> Console | None:
    """Return a Rich console where the stream is a terminal that can move its cursor, None elsewhere."""
    console = Console(file=stream)
    return console if console.is_terminal and not console.is_dumb_terminal else None


class Progress:
    """Shows the progress of a job; a context manager.

    >>> with Progress(total=100, title="Distilling mrpc", stream=sys.stdout) as progress:
    ...     progress.advance(100, loss="0.52")  # doctest: +ELLIPSIS
    Distilling mrpc: 100/100 steps (100 %), ... elapsed, loss 0.52

    Args:
        total: training steps of the whole job.
        title: what the job is, in a few words.
        done: steps done before, by an earlier part of the same job.
        every: seconds between two lines where there is no terminal; the end always has one.
        stream: where to write; standard error by default, so that standard output holds results only, and nowhere
            then if only errors are shown.
    """

    def __init__(
        self, total: int, title: str, *, done: int = 0, every: float = 5.0, stream: TextIO | None = None
    ) -> None:
        self.total = total
        self.title = title
        self.done = done
        self._every = every
        self._is_silent = stream is None and is_quiet()
        self._stream = sys.stderr if stream is None else stream
        self._facts = ""
        self._start = self._last_line = time.monotonic()
        # Time and steps of the first report, since the setup before it takes time only once.
        self._first: tuple[float, int] | None = None
        self._printed = -1
        self._bar = None if self._is_silent else _bar(self._stream, total)

    def advance(self, steps: int = 1, **facts: str) -> None:
        """Count steps and show facts next to them, such as `loss="0.52"`; the last given ones stay."""
        self.done += steps
        self._first = self._first or (time.monotonic(), self.done)
        if facts:
            self._facts = ", ".join(f"{name} {value}" for name, value in facts.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done, facts=self._facts)
        elif time.monotonic() - self._last_line >= self._every:
            self._print_line()

    def part(self, title: str) -> Callable[[int, int], None]:
        """Return a function of examples done and their total, which shows the progress of a part of the job.

        It may be called for several parts. Without a terminal, a part that ends before a line is due is not shown.
        """
        task: TaskID | None = None

        def show(done: int, total: int) -> None:
            nonlocal task
            if self._bar is not None:
                task = self._bar.add_task(title, unit="examples", facts="") if task is None else task
                self._bar.update(task, completed=done, total=total, visible=done < total)
            elif time.monotonic() - self._last_line >= self._every:
                self._last_line = time.monotonic()
                self._write(f"{title}: {done}/{total} examples ({100 * done // total} %)")

        return show

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        self._printed = self.done
        elapsed = self._last_line - self._start
        parts = [
            f"{self.done}/{self.total} steps ({100 * self.done // max(self.total, 1)} %)",
            f"{_clock(elapsed)} elapsed",
        ]
        if self._first and self._first[1] < self.done < self.total:
            pace = (self._last_line - self._first[0]) / (self.done - self._first[1])
            parts.append(f"{_clock(pace * (self.total - self.done))} left")
        if self._facts:
            parts.append(self._facts)
        self._write(f"{self.title}: {', '.join(parts)}")

    def _write(self, line: str) -> None:
        if not self._is_silent:
            print(line, file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.add_task(self.title, total=self.total, completed=self.done, unit="steps", facts="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
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


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO | None = None
) -> None:
    """Print rows under their columns, the first column to the left and the others to the right."""
    stream = sys.stdout if stream is None else stream
    console = live_console(stream)
    if console is None:
        print(aligned(title, columns, rows), file=stream, flush=True)
    else:
        table = _table(columns, rows, box.SIMPLE_HEAD)
        table.title, table.title_justify = Text(title), "left"
        console.print(table)


def print_section(section: Section, longest: int | None = None) -> None:
    """Print a table with its note, up to so many rows."""
    if section.rows:
        print_table(section.title, section.columns, section.rows[:longest])
    if longest is not None and len(section.rows) > longest:
        print(f"... and {len(section.rows) - longest} more")
    if section.note:
        print(section.note)


def aligned(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table as text.

    >>> print(aligned("Two students", ["agent", "score"], [["fine-tune", "0.71"], ["all", "0.7"]]))
    Two students
    agent      score
    ---------  -----
    fine-tune   0.71
    all          0.7
    """
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    text = (
        "  ".join(_pad(cell, width, i) for i, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )
    return "\n".join([title, *(line.rstrip() for line in text)])


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table in Markdown.

    >>> print(markdown(["agent", "score"], [["fine-tune", "0.71"]]))
    | agent     | score |
    |-----------|-------|
    | fine-tune |  0.71 |
    """
    console = Console(file=io.StringIO(), width=10_000, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(_table(columns, rows, box.MARKDOWN))
    return "\n".join(line.strip() for line in capture.get().strip().splitlines())


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], style: box.Box) -> Table:
    table = Table(box=style)
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if index else "left")
    for row in rows:
        table.add_row(*map(Text, row))  # Text, because in a bare string Rich reads [..] as markup
    return table


def _pad(cell: str, width: int, index: int) -> str:
    return cell.rjust(width) if index else cell.ljust(width)
