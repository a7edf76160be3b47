"""Tables from files of any common format, by their suffix."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.errors import KselectError, first_line
from kselect.io import from_json
from kselect.logging import get_logger
from kselect.tasks.table import Table

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

BYTE_ORDER_MARK = "\ufeff"
"""Byte-order mark, which some programs begin a file with."""
LONGEST_CELL = 2**31 - 1
"""Characters in a cell of a CSV file, the most that the csv module counts on every platform."""


def read_table(path: str | Path) -> Table:
    """Read a TSV, CSV, JSONL or Parquet file with named columns.

    Raises:
        KselectError: another suffix, a file that is missing, damaged, empty or not UTF-8, or, by line, a row that does
            not fit.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise KselectError(f"{path} is a folder: give a file or, if datasets saved it, the folder as dataset.")
    if path.suffix.lower() not in READERS:
        raise KselectError(
            f"{path} has an unknown format: give a file named {', '.join(f'*{known}' for known in READERS)}."
        )
    return READERS[path.suffix.lower()](path)


def read_utf8(path: Path) -> str:
    """Return a file's text without a byte-order mark."""
    return read_marked(path)[1]


def read_marked(path: Path) -> tuple[str, str]:
    """Return the byte-order mark that a file begins with, or nothing, and its text; raises as `read_utf8` does."""
    try:
        text = path.read_bytes().decode()
    except IsADirectoryError:
        raise KselectError(f"{path} is not a file: put the file there, or give another path.") from None
    except FileNotFoundError:
        raise KselectError(f"{path} does not exist: put the file there, or give another path.") from None
    except OSError as error:
        raise KselectError(f"{path} cannot be read ({error.strerror}): fix that, or give another path.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise KselectError(f"{path}:{line} is not UTF-8: save the file in that encoding.") from None
    rest = text.removeprefix(BYTE_ORDER_MARK)
    return text[: len(text) - len(rest)], rest


def read_lines(path: Path) -> list[str]:
    """Return a file's lines without the empty ones at its end."""
    text = read_utf8(path).rstrip("\r\n")
    if "\r" in text and "\n" not in text:
        raise KselectError(f"{path} ends its lines with carriage returns alone: save it with line feeds.")
    # Not splitlines(): texts may hold the other line separators of Unicode.
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def read_tsv(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Read tab-separated values whose quotation marks are ordinary characters, as GLUE's files have them.

    Every line is a row, but for empty ones at the end. Where quotation marks enclose a whole column, a warning says so.

    Args:
        path: the file.
        columns: names of the columns, where the first line does not have them.

    Raises:
        KselectError: a file that is missing, empty or not UTF-8, or a row with another number of fields than there are
            columns.
    """
    lines, first = read_lines(path), 1
    if columns is None:
        header, *lines = lines or [""]
        columns, first = header.split("\t"), 2
    rows = [line.split("\t") for line in lines]
    for number, fields in enumerate(rows, start=first):
        check_fields(f"{path}:{number}", len(fields), columns)
    table = Table(str(path), by_column(path, columns, rows), range(first, first + len(rows)))
    warn_of_quotes(table)
    return table


def read_tsv_or_quoted(path: Path) -> Table:
    """Read tab-separated values as `read_tsv` does or, if a CSV writer wrote them, as RFC 4180 has it.

    A CSV writer (pandas, the csv module, a spreadsheet) quotes the fields that need it and doubles the quotation marks
    in them. The file is from one if writing its rows that way again gives the same text.
    """
    text = read_utf8(path)
    if '"' in text:
        try:
            numbers, rows = _csv_rows(path, text, "\t")
        except KselectError:
            return read_tsv(path)
        plain = text.replace("\r\n", "\n").rstrip("\n")
        if any(written(rows, special) == plain for special in ('"\t\r\n', '",\t\r\n')):
            return _csv_table(path, numbers, rows)
    return read_tsv(path)


def read_csv(path: Path) -> Table:
    """Read comma-separated values, quoted as RFC 4180 has it; every line is in a row, but for empty ones at the end."""
    return _csv_table(path, *_csv_rows(path, read_utf8(path), ","))


def read_jsonl(path: Path) -> Table:
    """Read one JSON object a line; a value that a line leaves out is None."""
    rows = [json_object(f"{path}:{number}", content) for number, content in enumerate(read_lines(path), start=1)]
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(str(path), {name: [row.get(name) for row in rows] for name in names}, range(1, len(rows) + 1))


def json_object(place: str, line: str) -> dict[str, Any]:
    """Return the JSON object in a line of a file, which `place` names in messages."""
    try:
        row = from_json(line)
    except ValueError as error:
        raise KselectError(f"{place} is not JSON ({error}): write one object a line.") from None
    if not isinstance(row, dict):
        raise KselectError(f"{place} is not a JSON object: write one a line, with the columns as its names.")
    return row


def read_parquet(path: Path) -> Table:
    """Read a Parquet file; ids of columns that `datasets` saved as ClassLabel become their names."""
    import pyarrow

    file, names = open_parquet(path)
    try:
        table = Table(str(path), file.read().to_pydict())
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise KselectError(f"{path} is not a Parquet file: {first_line(error)}") from None
    return table.with_class_names(names)


def open_parquet(path: Path) -> tuple[ParquetFile, dict[str, tuple[str, ...]]]:
    """Open a Parquet file; returns it with the label names that `datasets` saved, by column."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    if not path.is_file():
        raise KselectError(f"{path} does not exist: put the file there, or give another path.")
    try:
        file = ParquetFile(path)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise KselectError(f"{path} is not a Parquet file: {first_line(error)}") from None
    return file, _class_names(path, file.schema_arrow)


READERS: dict[str, Callable[[Path], Table]] = {
    ".tsv": read_tsv_or_quoted,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".json": read_jsonl,
    ".parquet": read_parquet,
}
"""Reader of each suffix."""


def check_fields(place: str, count: int, columns: Sequence[str]) -> None:
    """Refuse a row of `count` fields where there are more or fewer columns."""
    if count != len(columns):
        raise KselectError(
            f"{place} has {count} field{'s' * (count != 1)}, expected {len(columns)} "
            f"({', '.join(columns)}): fix or remove that row."
        )


def by_column(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    """Turn rows into columns by name."""
    for name in names:
        if names.count(name) > 1:
            raise KselectError(f"{path} names two columns '{name}': rename one of them.")
    columns = list(zip(*rows, strict=True)) or [() for _ in names]
    return dict(zip(names, columns, strict=True))


def warn_of_quotes(table: Table) -> None:
    """Warn of columns of a TSV whose fields are all in quotation marks."""
    quoted = [
        name
        for name, values in table.columns.items()
        if all(len(value) > 1 and value[0] == value[-1] == '"' for value in values)
    ]
    if quoted:
        get_logger().warning(
            "%s has every field of %s in double quotes, which a TSV takes as ordinary characters: "
            "save it as CSV if they only enclose.",
            table.source,
            ", ".join(quoted),
        )


def csv_rows(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins in, and the row, the header first; empty lines at the end are left out.

    Args:
        path: the file, for messages.
        lines: its lines with their endings, as the csv module takes them.
        delimiter: between fields.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    names: list[str] | None = None
    empty: list[int] = []
    while True:
        try:
            with _long_cells():
                fields = next(reader, None)
        except csv.Error as error:
            raise KselectError(f"{path}:{line} is not CSV ({error}): fix or remove that row.") from None
        if fields is None:
            return
        if not fields:
            empty.append(line)
        else:
            # The reader has no field for an empty line, where a TSV has one.
            for number, row in [*((number, [""]) for number in empty), (line, fields)]:
                names = names or row
                check_fields(f"{path}:{number}", len(row), names)
                yield number, row
            empty.clear()
        line = reader.line_num + 1


def _csv_rows(path: Path, text: str, delimiter: str) -> tuple[list[int], list[list[str]]]:
    """Return the line that each row begins in, and the rows, the header among them."""
    numbered = list(csv_rows(path, io.StringIO(text.rstrip("\r\n"), newline=""), delimiter))
    return [number for number, _ in numbered], [fields for _, fields in numbered]


def _csv_table(path: Path, numbers: Sequence[int], rows: Sequence[Sequence[str]]) -> Table:
    names, *rest = rows or [[]]
    return Table(str(path), by_column(path, names, rest), numbers[1:])


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift the csv module's limit on the length of a cell."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def written(rows: Sequence[Sequence[str]], special: str) -> str:
    """Return rows as tab-separated values, quoting fields with one of the special characters."""

    def quoted(field: str) -> str:
        return '"' + field.replace('"', '""') + '"' if any(one in field for one in special) else field

    return "\n".join("\t".join(map(quoted, row)) for row in rows).replace("\r\n", "\n")


def _class_names(path: Path, schema: pyarrow.Schema) -> dict[str, tuple[str, ...]]:
    """Return the label names in the metadata that `datasets` writes into a Parquet file."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    from datasets import Features

    from kselect.tasks.hub import class_names

    try:
        return class_names(Features.from_arrow_schema(schema))
    except (ValueError, KeyError, TypeError) as error:
        raise KselectError(f"{path} has metadata that datasets cannot read: {first_line(error)}") from None
