"""Strict reading of tab-separated files: no quotes, UTF-8, and every fault named by file and line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from kselect.errors import UserError
from kselect.tasks.table import Table

MARK = "\ufeff"
"""The byte-order mark that some programs begin a file with."""


def read_utf8(path: Path) -> str:
    """Return a file's text, without a mark; raises `UserError` where it is missing or, with the line, not UTF-8."""
    return read_marked(path)[1]


def read_marked(path: Path) -> tuple[str, str]:
    """Return the byte-order mark that a file begins with, or nothing, and its text; raises as `read_utf8` does."""
    text = _decoded(path)
    return (MARK, text.removeprefix(MARK)) if text.startswith(MARK) else ("", text)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except IsADirectoryError:
        raise UserError(f"{path} is not a file: put the file there, or give another path.") from None
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: put the file there, or give another path.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend that, or give another path.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line} is not UTF-8: save the file in that encoding.") from None


def read_lines(path: Path) -> list[str]:
    """Return a file's lines without the empty ones at its end; raises `UserError` as `read_utf8` does."""
    text = read_utf8(path).rstrip("\r\n")
    if "\r" in text and "\n" not in text:
        raise UserError(f"{path} ends its lines with carriage returns alone: save it with line feeds.")
    # Not splitlines(): texts may hold the other line separators of Unicode.
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def read_tsv(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Read a file whose first line names the columns, or, where `columns` are given, one without such a line.

    Quotation marks are ordinary characters; where they enclose a whole column, a warning says so. Every line is a row,
    but for empty ones at the end. Raises `UserError` for a file that is missing, empty or not UTF-8, and for a row with
    another number of fields than there are columns.
    """
    lines, first = read_lines(path), 1
    if columns is None:
        header, *lines = lines or [""]
        columns, first = header.split("\t"), 2
    rows = [line.split("\t") for line in lines]
    for number, fields in enumerate(rows, start=first):
        check_fields(f"{path}:{number}", len(fields), columns)
    table = Table(str(path), name_columns(path, columns, rows), range(first, first + len(rows)))
    _warn_of_quotes(table)
    return table


def check_fields(place: str, count: int, columns: Sequence[str]) -> None:
    """Refuse a row of `count` fields where there are more columns, or fewer."""
    if count != len(columns):
        raise UserError(
            f"{place} has {count} field{'s' * (count != 1)}, expected {len(columns)} "
            f"({', '.join(columns)}): mend or remove that row."
        )


def name_columns(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    """Turn rows into columns by name; raises `UserError` where two columns have one name."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path} names two columns '{name}': rename one of them.")
    columns = list(zip(*rows, strict=True)) or [() for _ in names]
    return dict(zip(names, columns, strict=True))


def _warn_of_quotes(table: Table) -> None:
    quoted = [
        name
        for name, values in table.columns.items()
        if all(len(value) > 1 and value[0] == value[-1] == '"' for value in values)
    ]
    if quoted:
        # One line on standard error, unless a program that uses the library wants it elsewhere.
        logging.getLogger("kselect").warning(
            "%s has every field of %s in double quotes, which a TSV takes as ordinary characters: "
            "save it as CSV if they only enclose.",
            table.source,
            ", ".join(quoted),
        )
