from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks.tsv import read_tsv


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def to_file(content: bytes) -> Path:
        path = tmp_path / "train.tsv"
        path.write_bytes(content)
        return path

    return to_file


def test_quotes_and_unicode_separators_are_ordinary(write: Callable[[bytes], Path]) -> None:
    path = write('sentence\tlabel\n"open quote\t1\nline\u2028separator\x85here\t0\n'.encode())
    table = read_tsv(path)
    assert table.columns == ("sentence", "label")
    assert [(row.line, row.fields) for row in table.rows] == [
        (2, ['"open quote', "1"]),
        (3, ["line\u2028separator\x85here", "0"]),
    ]


def test_byte_order_mark_carriage_returns_and_blank_lines(write: Callable[[bytes], Path]) -> None:
    table = read_tsv(write(b"\xef\xbb\xbfsentence\tlabel\r\none\t1\r\n\r\ntwo\t0\r\n"))
    assert table.columns == ("sentence", "label")
    assert [(row.line, row.fields) for row in table.rows] == [(2, ["one", "1"]), (4, ["two", "0"])]


def test_without_a_header_lines_count_from_the_first(write: Callable[[bytes], Path]) -> None:
    table = read_tsv(write(b"gj04\t1\n"), columns=("source", "label"))
    assert [(row.line, row.fields) for row in table.rows] == [(1, ["gj04", "1"])]


def test_missing_file(tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = tmp_path / "dev.tsv"
    assert message_of(read_tsv, path) == f"{path} does not exist: put the file there, or give another --data_dir."


@pytest.mark.parametrize("content", [b"", b"sentence\tlabel\n", b"sentence\tlabel\n\n  \n"])
def test_no_examples(write: Callable[[bytes], Path], message_of: Callable[..., str], content: bytes) -> None:
    path = write(content)
    assert message_of(read_tsv, path) == f"{path} holds no examples: fill it, or give another --data_dir."


@pytest.mark.parametrize(("row", "found"), [(b"two", "1 field"), (b"two\t0\tmore", "3 fields")])
def test_fields_of_a_row(
    write: Callable[[bytes], Path], message_of: Callable[..., str], row: bytes, found: str
) -> None:
    path = write(b"sentence\tlabel\none\t1\n" + row + b"\n")
    assert message_of(read_tsv, path) == (
        f"{path}:3 has {found}, expected 2 (sentence, label): mend or remove that row."
    )


def test_missing_column(write: Callable[[bytes], Path], message_of: Callable[..., str]) -> None:
    table = read_tsv(write(b"sentense\tgold\nx\t1\n"))
    assert message_of(table.index, "sentence") == (
        f"{table.path} has no column 'sentence': did you mean 'sentense'? Columns found: sentense, gold. "
        "Give its first line the column names that GLUE has."
    )
    assert message_of(table.index, "xyz") == (
        f"{table.path} has no column 'xyz'. Columns found: sentense, gold. "
        "Give its first line the column names that GLUE has."
    )


def test_not_utf8(write: Callable[[bytes], Path], message_of: Callable[..., str]) -> None:
    path = write(b"sentence\tlabel\nfine\t1\ncaf\xe9\t0\n")
    assert message_of(read_tsv, path) == f"{path}:3 is not UTF-8: save the file in that encoding."


def test_a_folder_in_its_place(tmp_path: Path, message_of: Callable[..., str]) -> None:
    assert message_of(read_tsv, tmp_path) == (
        f"{tmp_path} is not a file: put the file there, or give another --data_dir."
    )
