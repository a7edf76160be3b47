"""Tables that are read a few rows at a time, so that a file may be larger than memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kselect.errors import KselectError, first_line
from kselect.tasks.hub import dataset_table
from kselect.tasks.paths import STDIN
from kselect.tasks.readers import (
    BYTE_ORDER_MARK,
    READERS,
    by_column,
    check_fields,
    csv_rows,
    json_object,
    open_parquet,
    read_table,
    warn_of_quotes,
    written,
)
from kselect.tasks.table import Table

if TYPE_CHECKING:
    from datasets import Dataset

ROWS = 1024
"""Rows of a table, by default."""
ENDING = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""A line with its ending, as the csv module counts lines."""

T = TypeVar("T")
Row = tuple[int, list[str]]
"""A row and the line that it begins in."""


def stream_table(path: str | Path, rows: int = ROWS) -> Iterator[Table]:
    """Yield the rows of a TSV, CSV, JSONL or Parquet file as tables of at most `rows`; see `read_table`.

    Faults are reported when they are reached.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in READERS:
        read_table(path)  # which refuses it
    if suffix == ".parquet":
        return _parquet(path, rows)
    if suffix in (".jsonl", ".json"):
        return _of_objects(str(path), _numbered(path), rows)
    return _of_fields(path, _csv(path) if suffix == ".csv" else _tsv(path), rows)


def stream_input(columns: Sequence[str] = (), rows: int = ROWS) -> Iterator[Table]:
    """Yield what is written to standard input, as tables of at most `rows`.

    These are JSON objects, one a line, with the given columns; or, where the first line is none, plain texts: one a
    line, or two separated by a tab where two columns are given or, without columns, where the first line has one.
    """
    lines = _numbered(Path(STDIN))
    first = next(lines, None)
    if first is None:
        raise KselectError(f"{STDIN} holds no examples: write texts to it, or give a file.")
    lines = chain([first], lines)
    if _is_object(first[1]):
        if not columns:
            raise KselectError(
                f"{STDIN} has JSON objects, and text_columns is missing: name the column of the text, or two.",
                setting="text_columns",
            )
        return _of_objects(STDIN, lines, rows)
    names = tuple(columns or ("text", "second_text")[: 1 + ("\t" in first[1])])
    return _of_fields(Path(STDIN), _plain(names, lines), rows)


def stream_dataset(source: str, data: Dataset, rows: int = ROWS) -> Iterator[Table]:
    """Yield the rows of a data set as tables of at most `rows`."""
    for start in range(0, max(len(data), 1), rows):
        yield dataset_table(source, data.select(range(start, min(start + rows, len(data)))), start)


def _plain(names: tuple[str, ...], lines: Iterable[tuple[int, str]]) -> Iterator[Row]:
    yield 0, list(names)
    for number, line in lines:
        fields = line.split("\t") if len(names) > 1 else [line]
        check_fields(f"{STDIN}:{number}", len(fields), names)
        yield number, fields


def _is_object(line: str) -> bool:
    try:
        json_object(STDIN, line)
    except KselectError:
        return False
    return True


def _of_fields(path: Path, rows: Iterator[Row], size: int) -> Iterator[Table]:
    """Yield tables of rows whose first has the names of the columns."""
    _, names = next(rows, (1, [""]))
    for count, chunk in enumerate(_chunks(rows, size)):
        columns = by_column(path, names, [fields for _, fields in chunk])
        table = Table(str(path), columns, [line for line, _ in chunk])
        if count == 0 and path.suffix.lower() == ".tsv":
            warn_of_quotes(table)
        yield table


def _of_objects(source: str, lines: Iterator[tuple[int, str]], size: int) -> Iterator[Table]:
    names: dict[str, None] = {}
    for chunk in _chunks(lines, size):
        objects = [json_object(f"{source}:{number}", content) for number, content in chunk]
        for row in objects:
            names |= dict.fromkeys(row)
        columns: dict[str, Sequence[Any]] = {name: [row.get(name) for row in objects] for name in names}
        yield Table(source, columns, [number for number, _ in chunk])


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield items by `size`; where there are none an empty list, which a table refuses."""
    yield list(islice(items, size))
    while chunk := list(islice(items, size)):
        yield chunk


def _parquet(path: Path, size: int) -> Iterator[Table]:
    import pyarrow

    file, names = open_parquet(path)
    start = 0
    try:
        for batch in file.iter_batches(size):
            yield Table(str(path), batch.to_pydict(), first=start).with_class_names(names)
            start += len(batch)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        raise KselectError(f"{path} is not a Parquet file: {first_line(error)}") from None
    if start == 0:
        Table(str(path), {})  # which refuses to be empty


def _csv(path: Path) -> Iterator[Row]:
    return csv_rows(path, _endings(path), ",")


def _tsv(path: Path) -> Iterator[Row]:
    """Yield the rows of a TSV, plain ones or those of a CSV writer; see `read_tsv_or_quoted`."""
    if _is_from_csv_writer(path):
        yield from csv_rows(path, _endings(path), "\t")
        return
    names: list[str] | None = None
    for number, line in _numbered(path):
        fields = line.split("\t")
        names = names or fields
        check_fields(f"{path}:{number}", len(fields), names)
        yield number, fields


def _is_from_csv_writer(path: Path) -> bool:
    """Whether a file has quotation marks, and writing its rows as a CSV writer does gives the same text."""
    raw: list[str] = []
    quoted, specials = False, {'"\t\r\n', '",\t\r\n'}

    def lines() -> Iterator[str]:
        for line in _endings(path):
            raw.append(line)
            yield line

    try:
        for _, fields in csv_rows(path, lines(), "\t"):
            text = "".join(raw).replace("\r\n", "\n")
            raw.clear()
            quoted = quoted or '"' in text
            specials = {special for special in specials if written([fields], special) == text.strip("\n")}
            if not specials:
                return False
    except KselectError:
        return False
    return quoted


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file, from 1, without their endings; those without content at its end are left out."""
    blank: list[int] = []
    for number, line in enumerate(_decoded(path), start=1):
        content = line.removesuffix("\n").removesuffix("\r")
        if "\r" in content and number == 1 and not line.endswith("\n"):
            raise KselectError(f"{path} ends its lines with carriage returns alone: save it with line feeds.")
        if not content.strip("\r"):
            blank.append(number)
            continue
        yield from zip(blank, repeat(""))
        blank.clear()
        yield number, content


def _endings(path: Path) -> Iterator[str]:
    for line in _decoded(path):
        yield from ENDING.findall(line)


def _decoded(path: Path) -> Iterator[str]:
    """Yield the lines of a file or of standard input, by line feeds, without a byte-order mark."""
    is_input = str(path) == STDIN
    try:
        with nullcontext(sys.stdin.buffer) if is_input else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    text = line.decode()
                except UnicodeDecodeError:
                    raise KselectError(f"{path}:{number} is not UTF-8: save the file in that encoding.") from None
                yield text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text
    except FileNotFoundError:
        raise KselectError(f"{path} does not exist: put the file there, or give another path.") from None
    except OSError as error:
        raise KselectError(f"{path} cannot be read ({error.strerror}): fix that, or give another path.") from None
