"""YAML of settings: one clear line for whatever is malformed, and nothing that grows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from kselect.cli.main import main
from kselect.config import values
from kselect.config.yaml_file import LARGEST, RECORDED, parse, read
from kselect.errors import KselectError
from tests.command_line import settings_of

MALFORMED = [
    "!!timestamp ",
    "a: !!int ",
    "!!int ",
    "a: !!bool 2001",
    "a: !!float ",
    "!!bool : x",
    'a: "\\ud800',
    "b: " + "[" * 5000,
    "b: " + "{a: " * 400,
    "a: &x [1, 2]\nb: [*x, *x]",
    "a: *x",
    "<<: *x",
    "a: 0000-99-99",
    "epochs: \x00",
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_read_refuses_malformed_text_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(KselectError) as caught:
        read(str(path))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1
    assert main(["distill", "--teacher", "t", "--config", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", "010"), ("10", 10), ("-3", -3), ("1:30", "1:30"), ("0x10", "0x10"), ("1e-4", 1e-4), ("2.0", 2.0)],
)
def test_numbers_are_read_as_they_stand(text: str, value: object) -> None:
    assert parse(f"{{a: {text}}}") == {"a": value}


def test_a_number_with_zeros_before_it_is_decimal(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text("teacher: t\nseed: 010\n")
    assert settings_of("distill", ["--config", str(path)]).run.seed == 10


@pytest.mark.parametrize("words", [["--run_name", "caf\udce9"], ["--train_file", "\udcff.csv"]])
def test_words_that_are_not_utf_8_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--teacher", "t", *words]) == 2
    assert "is not UTF-8: rename the file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["n" * 300, "\u00e9" * 150, "a\0b", "a\nb", "\x1b[2J", "a/b", ".."])
def test_names_that_no_folder_can_have_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--teacher", "t", "--run_name", name]) == 2
    error = capsys.readouterr().err
    assert "run_name is " in error
    assert error.count("\n") == 1
    assert "\x1b" not in error


def test_a_recorded_config_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    whole = f"{RECORDED}kselect distill\n---\nepochs: 3\nseed: 1\n...\n"
    path.write_text(whole)
    assert read(str(path)) == {"epochs": 3, "seed": 1}
    path.write_text(whole.removeprefix(RECORDED))
    for part in range(1, len(whole)):
        path.write_text(whole[:-part])
        if RECORDED in whole[:-part] and "---\n" in whole[:-part]:
            with pytest.raises(KselectError, match="is cut off"):
                read(str(path))


def test_read_refuses_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("task: " + "x" * LARGEST)
    with pytest.raises(KselectError, match="is too large"):
        read(str(path))


@pytest.mark.parametrize("text", ["{", "!!int x", "[" * 5000, "&a [*a]"])
def test_parse_returns_a_malformed_text(text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scales", "hidden=!!bool "], "--scales is 'hidden=!!bool ': expected name=value pairs"),
        (["--agent_settings", '{!!bool ts": 1}'], "--agent_settings is "),
        (["--agent_settings", "{1: 2}"], "--agent_settings is '{1: 2}': expected name=value pairs"),
        (["--seed", "!!timestamp /x"], "--seed is '!!timestamp /x': expected a whole number."),
        (["--seed", "9" * 5000], "expected a whole number."),
        (["--layers", "[" * 3000], "--layers is "),
        (["--agent", "[" * 3000], " cannot be read (File name too long)"),
        (["--epochs", "nan"], "epochs is nan: give a positive number. (--epochs)"),
    ],
)
def test_malformed_options_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["distill", "--teacher", "t", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert len(error) < 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs:", "epochs has no value: give a number, or leave it out."),
        ("scales:", "scales has no value: give name=value pairs"),
        ("agent_settings: {1: 2}", "agent_settings is {1: 2}: expected"),
        ("checkpoint_every: [1]", "checkpoint_every is [1]: expected a number."),
        ("phase_growth: {a: 1}", "phase_growth is {'a': 1}: expected a number."),
        ("epochs: 0", "epochs is 0.0: give a positive number. ("),
    ],
)
def test_wrong_values_name_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"teacher: t\n{text}\n")
    assert main(["distill", "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}: {text.partition(':')[0]}" in error
    assert said in error
    assert error.count("\n") == 1


def test_examples_in_the_docstrings() -> None:
    assert doctest.testmod(values).failed == 0
