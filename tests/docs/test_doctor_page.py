"""docs/doctor.md: its session has the form of a real one, its tables are complete, its example runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from kselect.cli.commands import COMMANDS
from kselect.cli.main import main
from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
SESSION = re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
CLAIM = r"\S+ (no )?better than \S+(: (right|wrong|undecided))?"


def form(output: str) -> list[str]:
    """What each line begins with, numbers as #; metrics, which are the task's, and empty parts of histograms apart."""
    cells = [re.split(r"\s{2,}", line.strip())[0] for line in output.partition("\nAdvice\n")[0].splitlines()]
    marked = [re.sub(r"\d+(\.\d+)?", "#", cell) for cell in cells]
    metrics = re.compile(r"[\w#]+(, held out| of the constant prediction)$")
    plain = [re.sub(r"^[\w-]+: # examples", "TASK: # examples", cell) for cell in marked if not metrics.match(cell)]
    return [cell for before, cell in zip(["", *plain], plain, strict=False) if cell != before]


@pytest.fixture
def output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    tiny_classifier(tiny_task("synthetic-entailment")).save_pretrained(tmp_path / "teacher")
    (tmp_path / "outcomes.json").write_text(json.dumps({"gold": [0.5, 0.6], "logits": [0.6, 0.7]}))
    task = ["--task", "synthetic-entailment", "--train_limit", "160", "--max_length", "32", "--runs_dir", str(tmp_path)]
    models = ["--teacher", str(tmp_path / "teacher"), "--layers", "2", "--outcomes", str(tmp_path / "outcomes.json")]
    assert main(["doctor", *task, *models]) == 0
    return capsys.readouterr().out


def test_the_session_has_the_form_of_a_real_one(output: str) -> None:
    command, _, shown = SESSION.partition("\n")
    assert form(shown) == form(output)
    for text in (shown, output):
        lines = text.partition("\nAdvice\n")[2].splitlines()
        advice = [line for line in lines if line[0].isdigit()]
        assert [line.partition(".")[0] for line in advice] == [str(i) for i in range(1, len(advice) + 1)]
        assert all(re.search(rf"\.( \[{CLAIM}\])?$", line) for line in advice), advice
        held, folder = lines[len(advice) :]
        assert re.fullmatch(r"Held against .+: \d+ right, \d+ wrong, \d+ undecided\.", held)
        assert folder.startswith("examination: ")
    name, *words = shlex.split(command.removeprefix("$ kselect "))
    assert COMMANDS[name].settings(words) is not None


def test_every_kind_of_advice_is_in_the_table() -> None:
    sources = Path(__file__).parents[2] / "kselect" / "insight" / "doctor"
    code = "".join((sources / f"{name}_advice.py").read_text() for name in ("teacher", "run"))
    kinds = re.findall(r"Advice\(\s*\"([a-z-]+)\"", code)
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == list(dict.fromkeys(kinds))


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/doctor.md", "exec"), names)
    assert names["found"].examples == {"train": 100, "reward": 20}
    advice = names["advise"](names["found"])
    claims = sum(one.claim is not None for one in advice)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(advice) + claims
