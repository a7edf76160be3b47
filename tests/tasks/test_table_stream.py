"""Tables read a few rows at a time are those read whole."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from kselect.errors import KselectError
from kselect.tasks.readers import read_table
from kselect.tasks.table_stream import ROWS, stream_input, stream_table

FILES = [
    ("a.tsv", 'text\tlabel\none\t1\na "quoted", text\t0\n\n'),
    ("a.tsv", 'text\tlabel\n"a ""quoted"" text"\t1\n"two\nlines"\t0\n'),
    ("a.tsv", 'text\tlabel\r\n"a ""quoted"" text"\t1\r\nnext\t0\r\n\r\n'),
    ("a.tsv", 'text\tlabel\n"a ""quoted"" text"\t1\n"unclosed\t0\n'),
    ("a.tsv", "text\none\n\nlast\n\n\n"),
    ("a.tsv", "text\tlabel\none\t1\t2\n"),
    ("a.tsv", "text\tlabel\none\t1\n\ntwo\t2\n"),
    ("a.tsv", "text\tlabel\n"),
    ("a.tsv", "text\rone\r"),
    ("a.tsv", "text\ttext\none\t1\n"),
    ("a.tsv", ""),
    ("a.csv", '\ufefftext,label\r\none,1\r\n"a ""quoted"", text","0"\r\n\r\n\n'),
    ("a.csv", 'text,label\n"two\nlines",1\nnext,0\n'),
    ("a.csv", 'text,label\n"two\rlines",1\nnext,0\rlast,0'),
    ("a.csv", "text\none\n\nlast\n\n"),
    ("a.csv", 'text,label\n"unclosed,1\n'),
    ("a.csv", "text,label\none\n"),
    ("a.csv", ""),
    ("a.jsonl", '{"text": "one"}\n{"label": "0", "text": "two"}\n{"text": "three", "more": [1]}\n\n'),
    ("a.jsonl", '{"text": "one"}\n\n{"text": "two"}\n'),
    ("a.jsonl", '{"text": "one"}\n[]\n'),
    ("a.json", ""),
    ("a.txt", "one\n"),
]


def rows_of(path: Path, size: int) -> tuple[list[dict[str, object]], list[str]]:
    """The rows of a file, without what a later row only names, and their places."""
    tables = list(stream_table(path, size))
    rows = [
        {name: values[row] for name, values in table.columns.items() if values[row] is not None}
        for table in tables
        for row in range(len(table))
    ]
    return rows, [table.place(row) for table in tables for row in range(len(table))]


@pytest.mark.parametrize("size", [1, 2, ROWS])
@pytest.mark.parametrize(("name", "content"), FILES)
def test_a_stream_is_the_file(name: str, content: str, size: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    try:
        table = read_table(path)
    except KselectError as error:
        with pytest.raises(KselectError, match=f"^{re.escape(str(error))}$"):
            rows_of(path, size)
        return
    whole = [{name: v[row] for name, v in table.columns.items() if v[row] is not None} for row in range(len(table))]
    assert rows_of(path, size) == (whole, [table.place(row) for row in range(len(table))])


def test_a_stream_of_parquet_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": list("abcde")}), path)
    rows, places = rows_of(path, 2)
    assert [row["text"] for row in rows] == list("abcde")
    assert places == [read_table(path).place(row) for row in range(5)]
    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), path)
    with pytest.raises(KselectError, match="holds no examples"):
        rows_of(path, 2)


def test_faults_have_their_line(tmp_path: Path, message_of: Callable[..., str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n{"text": "caf\xe9"}\n')
    assert message_of(rows_of, path, 1) == f"{path}:2 is not UTF-8: save the file in that encoding."
    assert message_of(rows_of, tmp_path / "none.csv", 1).startswith(f"{tmp_path}/none.csv does not exist")


class Input:
    def __init__(self, content: str) -> None:
        self.buffer = io.BytesIO(content.encode())


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ("one\ntwo\r\n\nlast\n\n", (), {"text": ["one", "two", "", "last"]}),
        ("one\ttab\ntwo\n", ("review",), {"review": ["one\ttab", "two"]}),
        ("a\tb\nc\td\n", (), {"text": ["a", "c"], "second_text": ["b", "d"]}),
        ("a\tb\n", ("premise", "claim"), {"premise": ["a"], "claim": ["b"]}),
        ('{"review": "one", "id": 7}\n', ("review",), {"review": ["one"], "id": [7]}),
        ('"{one}"\n[2]\n', (), {"text": ['"{one}"', "[2]"]}),
    ],
)
def test_standard_input(
    content: str, columns: tuple[str, ...], expected: dict[str, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Input(content))
    (table,) = stream_input(columns)
    assert {name: list(values) for name, values in table.columns.items()} == expected


@pytest.mark.parametrize(
    ("content", "columns", "said"),
    [
        ("", (), "/dev/stdin holds no examples: write texts to it, or give a file."),
        ('{"text": "one"}\n', (), "/dev/stdin has JSON objects, and text_columns is missing: name the column"),
        ("a\tb\nc\n", (), "/dev/stdin:2 has 1 field, expected 2 (text, second_text): fix or remove that row."),
    ],
)
def test_standard_input_that_cannot_be_read(
    content: str, columns: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Input(content))
    with pytest.raises(KselectError) as caught:
        list(stream_input(columns))
    assert str(caught.value).startswith(said)
