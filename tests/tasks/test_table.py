from __future__ import annotations

from collections.abc import Callable

import pytest

from kselect.tasks.table import Table


def test_columns_by_kind() -> None:
    table = Table("data", {"text": ("a", "b"), "label": [1, True], "score": ["2.5", 3]})
    assert len(table) == 2
    assert table.texts("text") == ["a", "b"]
    assert table.names("label") == ["1", "True"]
    assert table.ids("text") == ["a", "b"]
    assert table.scores("score") == [2.5, 3.0]
    assert all(isinstance(score, float) for score in table.scores("score"))


def test_places() -> None:
    assert Table("file", {"text": ["a", "b"]}, lines=[2, 5]).place(1) == "file:5"
    assert Table("file", {"text": ["a", "b"]}).place(1) == "file, row 2"


@pytest.mark.parametrize("value", [None, 3, 1.5, ["a"]])
def test_what_is_no_text(value: object, message_of: Callable[..., str]) -> None:
    table = Table("data", {"text": ["a", value]})
    assert message_of(table.texts, "text") == "data, row 2 has no text in 'text': fix or remove that row."


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_what_is_no_label(value: object, message_of: Callable[..., str]) -> None:
    table = Table("data", {"label": ["a", value]})
    assert message_of(table.names, "label") == "data, row 2 has nothing in 'label': fix or remove that row."


@pytest.mark.parametrize("value", [None, "", "high", "nan", float("inf"), [1]])
def test_what_is_no_score(value: object, message_of: Callable[..., str]) -> None:
    table = Table("data", {"score": [1, value]})
    assert message_of(table.scores, "score") == (
        f"data, row 2 has '{value}' in 'score', expected a number: fix or remove that row."
    )


def test_an_id_given_twice(message_of: Callable[..., str]) -> None:
    table = Table("data", {"id": ["a", "b", "a"]}, lines=[2, 3, 4])
    assert message_of(table.ids, "id") == "data:4 repeats the id 'a' of data:2: give every row a different one."


def test_columns_cut_by_semicolons(message_of: Callable[..., str]) -> None:
    table = Table("data.csv", {"headline;topic": ["x;y"]})
    assert message_of(table.values, "topic") == (
        "data.csv seems to be separated by semicolons: save it with commas, or as TSV."
    )


def test_a_missing_column(message_of: Callable[..., str]) -> None:
    table = Table("data", {"sentense": ["x"], "gold": ["1"]})
    assert message_of(table.values, "sentence") == (
        "data has no column 'sentence': did you mean 'sentense'? Columns found: sentense, gold. "
        "Rename one of them, or name another."
    )
    assert message_of(table.values, "xyz") == (
        "data has no column 'xyz'. Columns found: sentense, gold. Rename one of them, or name another."
    )
