"""docs/using-a-student.md: its example runs, and its commands are accepted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kselect.cli.commands import COMMANDS
from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "using-a-student.md").read_text()


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "student" / "student")
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(code, "docs/using-a-student.md", "exec"), {})
    labels, answers, probabilities = capsys.readouterr().out.splitlines()
    assert labels == str(tiny_task().labels)
    assert len(eval(answers)) == 2
    assert probabilities.startswith("[[")


def test_its_commands_are_accepted() -> None:
    rest = re.sub(r"^```python\n.*?^```\n", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    blocks = "".join(re.findall(r"^```\n(.*?)^```", rest, re.DOTALL | re.MULTILINE))
    lines = [line[line.index("kselect ") :].partition(">")[0] for line in blocks.splitlines() if "kselect " in line]
    assert len(lines) == 6
    for line in lines:
        command, *words = shlex.split(line)[1:]
        assert COMMANDS[command].read(words).values
