"""Whether somebody is looking: a terminal that redraws lines, or a file that keeps them."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console


def live_console(stream: TextIO) -> Console | None:
    """Return a Rich console where the stream is a terminal that can move its cursor, None elsewhere."""
    console = Console(file=stream)
    return console if console.is_terminal and not console.is_dumb_terminal else None
