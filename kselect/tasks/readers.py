"""A table from a file of any common format, by its suffix."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.tasks.table import Table

MARK = "\ufeff"
"""The byte-order mark that some programs begin a file with."""


def read_utf8(path: Path) -> str:
    """Return a file's text, without a mark; raises `KselectError` where it is missing or, with the line, not UTF-8."""
    return read_marked(path)[1]


def read_marked(path: Path) -> tuple[str, str]:
    """Return the byte-order mark that a file begins with, or nothing, and its text; raises as `read_utf8` does."""
    text = _decoded(path)
    return (MARK, text.removeprefix(MARK)) if text.startswith(MARK) else ("", text)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except IsADirectoryError:
        raise KselectError(f"{path} is not a file: put the file there, or give another path.") from None
    except FileNotFoundError:
        raise KselectError(f"{path} does not exist: put the file there, or give another path.") from None
    except OSError as error:
        raise KselectError(f"{path} cannot be read ({error.strerror}): mend that, or give another path.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise KselectError(f"{path}:{line} is not UTF-8: save the file in that encoding.") from None


def read_lines(path: Path) -> list[str]:
    """Return a file's lines without the empty ones at its end; raises `KselectError` as `read_utf8` does."""
    text = read_utf8(path).rstrip("\r\n")
    if "\r" in text and "\n" not in text:
        raise KselectError(f"{path} ends its lines with carriage returns alone: save it with line feeds.")
    # Not splitlines(): texts may hold the other line separators of Unicode.
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def read_tsv(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Read a file whose first line names the columns, or, where `columns` are given, one without such a line.

    Quotation marks are ordinary characters; where they enclose a whole column, a warning says so. Every line is a row,
    but for empty ones at the end. Raises `KselectError` for a file that is missing, empty or not UTF-8, and for a row with
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
        raise KselectError(
            f"{place} has {count} field{'s' * (count != 1)}, expected {len(columns)} "
            f"({', '.join(columns)}): mend or remove that row."
        )


def name_columns(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    """Turn rows into columns by name; raises `KselectError` where two columns have one name."""
    for name in names:
        if names.count(name) > 1:
            raise KselectError(f"{path} names two columns '{name}': rename one of them.")
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
        get_logger().warning(
            "%s has every field of %s in double quotes, which a TSV takes as ordinary characters: "
            "save it as CSV if they only enclose.",
            table.source,
            ", ".join(quoted),
        )


def read_table(path: str | Path) -> Table:
    """Read a TSV, CSV, JSONL or Parquet file with named columns.

    Raises `KselectError` for another suffix, a file that is missing, damaged, empty or not UTF-8, and a row that does not
    fit, by file and line.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in READERS:
        raise KselectError(
            f"{path} is of no known format: give a file named {', '.join(f'*{known}' for known in READERS)}."
        )
    return READERS[path.suffix.lower()](path)


def read_csv(path: Path) -> Table:
    """Read comma-separated values, quoted as RFC 4180 has it; every line is in a row, but for empty ones at the end."""
    reader = csv.reader(io.StringIO(read_utf8(path).rstrip("\r\n"), newline=""), strict=True)
    numbers, rows, line = [], [], 1
    try:
        for fields in reader:
            numbers.append(line)
            rows.append(fields or [""])  # the reader has no field for an empty line, where a TSV has one
            check_fields(f"{path}:{line}", len(rows[-1]), rows[0])
            line = reader.line_num + 1
    except csv.Error as error:
        raise KselectError(f"{path}:{line} is not CSV ({error}): mend or remove that row.") from None
    names, *rows = rows or [[]]
    return Table(str(path), name_columns(path, names, rows), numbers[1:])


def read_jsonl(path: Path) -> Table:
    """Read one JSON object a line; a value that a line leaves out is None."""
    rows: list[dict[str, Any]] = []
    for number, content in enumerate(read_lines(path), start=1):
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise KselectError(f"{path}:{number} is not JSON ({error}): write one object a line.") from None
        if not isinstance(row, dict):
            raise KselectError(
                f"{path}:{number} is not a JSON object: write one a line, with the columns as its names."
            )
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(str(path), {name: [row.get(name) for row in rows] for name in names}, range(1, len(rows) + 1))


def read_parquet(path: Path) -> Table:
    """Read a Parquet file."""
    import pyarrow
    from pyarrow import parquet

    if not path.is_file():
        raise KselectError(f"{path} does not exist: put the file there, or give another path.")
    try:
        return Table(str(path), parquet.read_table(path).to_pydict())
    except (OSError, pyarrow.ArrowException) as error:
        raise KselectError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}") from None


READERS: dict[str, Callable[[Path], Table]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".json": read_jsonl,
    ".parquet": read_parquet,
}
"""What reads a file, by its suffix."""
