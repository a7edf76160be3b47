"""docs/inspecting.md: its session has the form of a real one, its commands are accepted, its example runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kselect.cli.commands import COMMANDS
from kselect.cli.main import main
from tests.analysis.inspection.histories import phase, write_run
from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "inspecting.md").read_text()
SESSION = re.findall(r"^```\n\$ (kselect.*?)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]


def tables(output: str) -> dict[str, list[str]]:
    """The columns of each table, by its title."""
    found = re.findall(r"^(.+)\n(.+)\n-[- ]*$", output, re.MULTILINE)
    return {title: re.split(r"\s{2,}", columns.strip()) for title, columns in found}


def test_the_session_has_the_form_of_a_real_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_classifier(tiny_task(), layers=2).save_pretrained(tmp_path / "teacher")
    task = ["--task", "synthetic-acceptability", "--train_limit", "80", "--max_length", "32", "--batch_size", "8"]
    model = ["--teacher", str(tmp_path / "teacher"), "--layers", "1", "--epochs", "1", "--runs_dir", str(tmp_path)]
    assert main(["train-policy", *task, *model, "--episodes", "2", "--run_name", "policy"]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "policy")]) == 0
    real, shown = tables(capsys.readouterr().out), tables(SESSION[1])
    assert list(shown) == list(real)
    decisions = "Decisions that changed the selection"  # a chance decision alone has no contributions
    assert {**real, decisions: None} == {**shown, decisions: None}


def test_its_commands_are_accepted() -> None:
    lines = re.findall(r"^(?:\$ )?kselect (.*)$", PAGE.replace("\\\n", " "), re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        name, *words = shlex.split(line)
        assert COMMANDS[name].settings(words) is not None


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "policy", [phase({"gold": 1.0, "logits": i % 2}) for i in range(8)])
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(example, "docs/inspecting.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[0] == "gold [0.75 0.75 0.75 0.75]"
