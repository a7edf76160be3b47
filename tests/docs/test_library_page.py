"""docs/library.md: its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import tiny_classifier, tiny_task

PAGE = (Path(__file__).parents[2] / "docs" / "library.md").read_text()
SMALL = {'"mrpc"': '"synthetic-acceptability", train_limit=100', "layers=3": "layers=2", "episodes=8": "episodes=1"}


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        environment = names.get("env")
        for whole, small in SMALL.items():
            code = code.replace(whole, small)
        exec(compile(code, "docs/library.md", "exec"), names)
        names["env"] = environment or names["env"]  # the page's second one only shows another way to make it
    assert (tmp_path / "student" / "config.json").is_file()
    assert capsys.readouterr().out.splitlines()[-1] in ("True", "False")
