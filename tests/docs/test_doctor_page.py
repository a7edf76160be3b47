"""docs/doctor.md: its session has the form of a real one, its table names every measure, its example runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from kselect.cli.commands import COMMANDS
from kselect.cli.main import main
from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
SESSION = re.findall(r"^```\n(\$ kselect.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]


def form(output: str) -> list[str]:
    """First cells of the lines, with numbers as #, without warnings and repeated bins of histograms."""
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("Warning")]
    cells = [re.sub(r"\d+(\.\d+)?", "#", re.split(r"\s{2,}", line.strip())[0]) for line in lines]
    cells = [re.sub(r"^[\w-]+: # examples", "TASK: # examples", cell) for cell in cells]
    cells = [re.sub(r"^-+$", "-", re.sub(r"^examination: .*", "examination:", cell)) for cell in cells]
    return [cell for before, cell in zip(["", *cells], cells, strict=False) if cell != before]


@pytest.fixture
def output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    tiny_classifier(tiny_task("synthetic-topics")).save_pretrained(tmp_path / "teacher")
    task = ["--task", "synthetic-topics", "--train_limit", "160", "--max_length", "32", "--runs_dir", str(tmp_path)]
    assert main(["doctor", *task, "--teacher", str(tmp_path / "teacher"), "--layers", "2", "--policy", "null"]) == 0
    return capsys.readouterr().out


def test_the_session_has_the_form_of_a_real_one(output: str) -> None:
    command, _, shown = SESSION.partition("\n")
    assert form(shown) == form(output)
    name, *words = shlex.split(command.removeprefix("$ kselect "))
    assert COMMANDS[name].settings(words) is not None


def test_every_warning_is_in_the_table() -> None:
    code = (Path(__file__).parents[2] / "kselect" / "analysis" / "findings.py").read_text()
    codes = re.findall(r"Finding\(\s*\"([a-z-]+)\"", code)
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(codes)


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/doctor.md", "exec"), names)
    examination = names["examination"]
    assert examination.examples == {"train": 100, "reward": 100}
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(examination.findings)
