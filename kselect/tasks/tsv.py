"""Strict reading of tab-separated files: no quotes, UTF-8, and every fault named by file and line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kselect.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Row:
    """One line of a table: its number in the file, from 1, and its fields."""

    line: int
    fields: list[str]


@dataclass(frozen=True)
class Table:
    """The rows of a file and the names of their columns."""

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]

    def index(self, column: str) -> int:
        """Return the position of a column; raises `UserError` with the columns found and the nearest one."""
        if column not in self.columns:
            raise UserError(
                f"{self.path} has no column '{column}'{did_you_mean(column, self.columns)} Columns found: "
                f"{', '.join(self.columns)}. Give its first line the column names that GLUE has."
            )
        return self.columns.index(column)


def read_tsv(path: Path, columns: tuple[str, ...] | None = None) -> Table:
    """Read a file whose first line names the columns, or, where `columns` are given, one without such a line.

    Quotation marks are ordinary characters. Blank lines are skipped. Raises `UserError` for a file that is
    missing, empty or not UTF-8, and for a row with another number of fields than there are columns.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except IsADirectoryError:
        raise UserError(f"{path} is not a file: put the file there, or give another --data_dir.") from None
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: put the file there, or give another --data_dir.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend that, or give another --data_dir.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line} is not UTF-8: save the file in that encoding.") from None
    # Not splitlines(): texts may hold the other line separators of Unicode.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    first = 1
    if columns is None:
        columns, lines, first = tuple(lines[0].split("\t")), lines[1:], 2
    rows = []
    for number, content in enumerate(lines, start=first):
        if not content.strip():
            continue
        fields = content.split("\t")
        if len(fields) != len(columns):
            raise UserError(
                f"{path}:{number} has {len(fields)} field{'s' * (len(fields) != 1)}, expected {len(columns)} "
                f"({', '.join(columns)}): mend or remove that row."
            )
        rows.append(Row(number, fields))
    if not rows:
        raise UserError(f"{path} holds no examples: fill it, or give another --data_dir.")
    return Table(path, columns, rows)
