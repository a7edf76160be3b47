from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kselect.tasks.readers import read_tsv


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
    assert table.columns == {"sentence": ('"open quote', "line\u2028separator\x85here"), "label": ("1", "0")}
    assert list(table.lines or ()) == [2, 3]


def test_byte_order_mark_carriage_returns_and_empty_lines_at_the_end(write: Callable[[bytes], Path]) -> None:
    table = read_tsv(write(b"\xef\xbb\xbfsentence\tlabel\r\none\t1\r\ntwo\t0\r\n\r\n\n"))
    assert table.columns == {"sentence": ("one", "two"), "label": ("1", "0")}
    assert list(table.lines or ()) == [2, 3]


def test_carriage_returns_alone_are_not_understood(
    write: Callable[[bytes], Path], message_of: Callable[..., str]
) -> None:
    path = write(b"sentence\tlabel\rone\t1\r")
    assert message_of(read_tsv, path) == f"{path} ends its lines with carriage returns alone: save it with line feeds."


def test_without_a_header_lines_count_from_the_first(write: Callable[[bytes], Path]) -> None:
    table = read_tsv(write(b"gj04\t1\n"), columns=("source", "label"))
    assert (table.columns, table.place(0)) == ({"source": ("gj04",), "label": ("1",)}, f"{table.source}:1")


def test_missing_file(tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = tmp_path / "dev.tsv"
    assert message_of(read_tsv, path) == f"{path} does not exist: put the file there, or give another path."


@pytest.mark.parametrize("content", [b"", b"sentence\tlabel\n", b"sentence\tlabel\n\n\r\n"])
def test_no_examples(write: Callable[[bytes], Path], message_of: Callable[..., str], content: bytes) -> None:
    path = write(content)
    assert message_of(read_tsv, path) == f"{path} holds no examples: fill it, or give another."


@pytest.mark.parametrize(
    ("row", "found"), [(b"two", "1 field"), (b"", "1 field"), (b"  ", "1 field"), (b"two\t0\tmore", "3 fields")]
)
def test_fields_of_a_row(
    write: Callable[[bytes], Path], message_of: Callable[..., str], row: bytes, found: str
) -> None:
    path = write(b"sentence\tlabel\none\t1\n" + row + b"\nlast\t1\n")
    assert message_of(read_tsv, path) == (
        f"{path}:3 has {found}, expected 2 (sentence, label): fix or remove that row."
    )


def test_two_columns_of_one_name(write: Callable[[bytes], Path], message_of: Callable[..., str]) -> None:
    path = write(b"text\ttext\nx\ty\n")
    assert message_of(read_tsv, path) == f"{path} names two columns 'text': rename one of them."


def test_a_column_all_in_quotes_is_taken_as_it_is_and_remarked_on_once(
    write: Callable[[bytes], Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(b'text\tother\tlabel\n"one"\t"x\t1\n"two"\t"y"\t0\n')
    assert read_tsv(path).columns["text"] == ('"one"', '"two"')
    assert caplog.messages == [
        f"{path} has every field of text in double quotes, which a TSV takes as ordinary characters: "
        "save it as CSV if they only enclose."
    ]


def test_quotes_here_and_there_are_no_matter(write: Callable[[bytes], Path], caplog: pytest.LogCaptureFixture) -> None:
    read_tsv(write(b'text\tlabel\n"one"\t1\ntwo "three"\t0\n"\t1\n'))
    assert caplog.messages == []


def test_not_utf8(write: Callable[[bytes], Path], message_of: Callable[..., str]) -> None:
    path = write(b"sentence\tlabel\nfine\t1\ncaf\xe9\t0\n")
    assert message_of(read_tsv, path) == f"{path}:3 is not UTF-8: save the file in that encoding."


def test_a_folder_in_its_place(tmp_path: Path, message_of: Callable[..., str]) -> None:
    assert message_of(read_tsv, tmp_path) == (f"{tmp_path} is not a file: put the file there, or give another path.")
