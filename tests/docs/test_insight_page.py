"""What docs/insight.md shows, run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kselect.cli.command import Command
from kselect.cli.main import COMMANDS
from kselect.insight.rows import DTYPES, Rows
from tests.tiny import tiny_classifier, tiny_task

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "insight.md").read_text()


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "docs/insight.md", "exec"), {})
    assert len(Rows.load(tmp_path / "recording.parquet")) > 0
    assert -1 <= float(capsys.readouterr().out.split()[0]) <= 1


def test_its_command_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (line,) = re.findall(r"^kselect (.*)$", PAGE, re.MULTILINE)
    name, *words = line.split()
    settings = Command(COMMANDS[name]).settings([*words, "--teacher", "runs/teacher/model"])
    assert settings is not None
    assert settings.recording.record


def test_every_column_is_in_the_table_in_order() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(DTYPES)
