"""docs/quickstart.md runs, and docs/quickstart.ipynb is made of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from kselect.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "quickstart.md").read_text()
MAKE = run_path(str(DOCS / "make_notebook.py"))
SMALL = ["--train_limit", "100", "--epochs", "1", "--hidden_size", "16", "--heads", "2"]
LIMITED = 'load_task("synthetic-acceptability", train_limit=100)'


def test_the_notebook_is_that_of_the_page() -> None:
    made = json.loads((DOCS / "quickstart.ipynb").read_text())
    assert made == MAKE["notebook"](PAGE), "run python docs/make_notebook.py"
    assert "".join(made["cells"][1]["source"]).startswith("!kselect train-teacher ")
    assert {cell["cell_type"] for cell in made["cells"]} == {"markdown", "code"}


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for kind, text in MAKE["cells_of"](PAGE):
        if kind == "shell":
            assert main([*shlex.split(text)[1:], *SMALL]) == 0
        elif kind == "python":
            code = text.replace('load_task("synthetic-acceptability")', LIMITED)
            exec(compile(code, "docs/quickstart.md", "exec"), names)
    assert (tmp_path / "quickstart-student" / "config.json").is_file()
    assert len(eval(capsys.readouterr().out.splitlines()[-1])) == 2
