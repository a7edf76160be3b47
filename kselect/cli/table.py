"""A table of results: drawn on a terminal, aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from kselect.cli.terminal import live_console


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO | None = None
) -> None:
    """Print rows under their columns, the first column to the left and the others to the right.

    Args:
        title: a line above the table.
        columns: names, one a column.
        rows: cells as texts, as many in each row as there are columns.
        stream: where to write; standard output by default.
    """
    stream = sys.stdout if stream is None else stream
    console = live_console(stream)
    if console is None:
        print(aligned(title, columns, rows), file=stream, flush=True)
        return
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if index else "left")
    for row in rows:
        table.add_row(*map(Text, row))  # Text, because in a bare string Rich reads [..] as markup
    console.print(table)


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
    | agent | score |
    |---|---|
    | fine-tune | 0.71 |
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def _pad(cell: str, width: int, index: int) -> str:
    return cell.rjust(width) if index else cell.ljust(width)
