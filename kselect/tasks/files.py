"""A table from a file of any common format, by its suffix."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kselect.errors import UserError
from kselect.tasks.table import Table
from kselect.tasks.tsv import check_fields, name_columns, read_lines, read_tsv, read_utf8


def read_table(path: str | Path) -> Table:
    """Read a TSV, CSV, JSONL or Parquet file with named columns.

    Raises `UserError` for another suffix, a file that is missing, damaged, empty or not UTF-8, and a row that does not
    fit, by file and line.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in READERS:
        raise UserError(
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
        raise UserError(f"{path}:{line} is not CSV ({error}): mend or remove that row.") from None
    names, *rows = rows or [[]]
    return Table(str(path), name_columns(path, names, rows), numbers[1:])


def read_jsonl(path: Path) -> Table:
    """Read one JSON object a line; a value that a line leaves out is None."""
    rows: list[dict[str, Any]] = []
    for number, content in enumerate(read_lines(path), start=1):
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}:{number} is not JSON ({error}): write one object a line.") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number} is not a JSON object: write one a line, with the columns as its names.")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(str(path), {name: [row.get(name) for row in rows] for name in names}, range(1, len(rows) + 1))


def read_parquet(path: Path) -> Table:
    """Read a Parquet file."""
    import pyarrow
    from pyarrow import parquet

    if not path.is_file():
        raise UserError(f"{path} does not exist: put the file there, or give another path.")
    try:
        return Table(str(path), parquet.read_table(path).to_pydict())
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} is not a Parquet file: {str(error).splitlines()[0]}") from None


READERS: dict[str, Callable[[Path], Table]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".json": read_jsonl,
    ".parquet": read_parquet,
}
"""What reads a file, by its suffix."""
