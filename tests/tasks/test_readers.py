from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from kselect.tasks.readers import read_table

ROWS = {"text": ["one", 'a "quoted", text'], "label": ["1", "0"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", 'text\tlabel\none\t1\na "quoted", text\t0\n'),
        ("a.csv", 'text,label\none,1\n"a ""quoted"", text",0\n'),
        ("a.CSV", '\ufefftext,label\r\none,1\r\n"a ""quoted"", text","0"\r\n\r\n\n'),
        ("a.jsonl", '{"text": "one", "label": "1"}\n{"label": "0", "text": "a \\"quoted\\", text"}\n\n'),
        ("a.json", '{"text": "one", "label": "1"}\n{"label": "0", "text": "a \\"quoted\\", text"}\n'),
    ],
)
def test_every_format_reads_the_same(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert {column: list(values) for column, values in read_table(path).columns.items()} == ROWS


def test_parquet(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.columns == ROWS
    assert table.place(1) == f"{tmp_path}/a.parquet, row 2"


def test_lines_of_a_csv_are_where_rows_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"two\nlines",1\nnext,0\n')
    assert read_table(path).lines == [2, 4]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_rows_of_empty_texts_are_rows(name: str, tmp_path: Path) -> None:
    path, separator = tmp_path / name, "\t" if name == "a.tsv" else ","
    path.write_text("text,other\none,1\n,\n  ,\nlast,2\n".replace(",", separator))
    assert {column: list(values) for column, values in read_table(path).columns.items()} == {
        "text": ["one", "", "  ", "last"],
        "other": ["1", "", "", "2"],
    }
    path.write_text("text\none\n\nlast\n\n")
    table = read_table(path)
    assert list(table.columns["text"]) == ["one", "", "last"]
    assert [table.place(row) for row in range(3)] == [f"{path}:{line}" for line in (2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\none\n", "{}:2 has 1 field, expected 2 (text, label): fix or remove that row."),
        (
            "a.csv",
            b'text,label\none,1\n"two" x,0\n',
            "{}:3 is not CSV (',' expected after '\"'): fix or remove that row.",
        ),
        ("a.csv", b"text,label\ncaf\xe9,1\n", "{}:2 is not UTF-8: save the file in that encoding."),
        ("a.csv", b"text,text\nx,y\n", "{} names two columns 'text': rename one of them."),
        ("a.csv", b"", "{} holds no examples: fill it, or give another."),
        ("a.csv", b"text,label\n", "{} holds no examples: fill it, or give another."),
        (
            "a.csv",
            b"text,label\none,1\n\ntwo,1\n",
            "{}:3 has 1 field, expected 2 (text, label): fix or remove that row.",
        ),
        ("a.jsonl", b'{"a": 1}\n\n{"a": 1}\n', "{}:2 is not JSON ("),
        ("a.jsonl", b'{"a": 1}\n' + b"[" * 100_000, "{}:2 is not JSON (nested too deeply"),
        ("a.jsonl", b"{}\n[1]\n", "{}:2 is not a JSON object: write one a line, with the columns as its names."),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "{}:2 is not JSON ("),
        ("a.jsonl", b'{"a": "\xff"}\n', "{}:1 is not UTF-8: save the file in that encoding."),
        ("a.jsonl", b"\n", "{} holds no examples: fill it, or give another."),
        ("a.parquet", b"PAR1", "{} is not a Parquet file: "),
        ("a.xlsx", b"", "{} has an unknown format: give a file named *.tsv, *.csv, *.jsonl, *.json, *.parquet."),
    ],
)
def test_faults_by_file_and_line(
    name: str, content: bytes, message: str, tmp_path: Path, message_of: Callable[..., str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert message_of(read_table, path).startswith(message.replace("{}", str(path), 1))


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl", "parquet"])
def test_a_file_that_is_not_there(suffix: str, tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = tmp_path / f"a.{suffix}"
    assert message_of(read_table, path) == f"{path} does not exist: put the file there, or give another path."


@pytest.mark.parametrize(
    "quoting",
    [
        lambda rows: "".join("\t".join(row) + "\n" for row in rows),
        lambda rows: "".join(",".join(row) + "\n" for row in rows),
    ],
)
def test_read_table_reads_long_cells(quoting: Callable[..., str], tmp_path: Path) -> None:
    content = quoting([["text", "label"], ["and so on " * 20_000, "1"]])
    path = tmp_path / ("a.tsv" if "\t" in content else "a.csv")
    path.write_text(content)
    limit = csv.field_size_limit()
    assert read_table(path).texts("text") == ["and so on " * 20_000]
    assert csv.field_size_limit() == limit


WRITTEN = ["a", 'he said "a" and b', "two\nlines", "with\ttab", "", "plain, with comma"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_read_table_unquotes_tsv_of_a_csv_writer(newline: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator=newline)
        writer.writerows([["text", "label"], *([text, "1"] for text in WRITTEN)])
    table = read_table(path)
    assert table.texts("text") == WRITTEN
    assert table.lines == [2, 3, 4, 6, 7, 8]
    path.write_text('text\tlabel\n"hello, world"\t1\n"he said ""a"""\t0\n')  # as a spreadsheet writes it
    assert read_table(path).texts("text") == ["hello, world", 'he said "a"']


@pytest.mark.parametrize("texts", [['"Great"', "b"], ['a "b" c', '"d ""e"""'], ['"open', "b"], ['""x""', "b"]])
def test_read_table_leaves_quotes_of_a_plain_tsv(texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{text}\t1\n" for text in texts))
    assert read_table(path).texts("text") == texts


def test_read_table_refuses_parquet_with_broken_texts(tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": pyarrow.array([b"\xff\xfe"]).view(pyarrow.utf8())})
    parquet.write_table(table, path)
    assert message_of(read_table, path).startswith(f"{path} is not a Parquet file: ")
