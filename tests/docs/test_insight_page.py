"""What docs/insight.md shows, run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from kselect.analysis.predictions import Floats, Predictions
from kselect.analysis.recording.table import DTYPES, ExampleTable
from kselect.analysis.teacher_profile import rescaling_factors
from kselect.cli.command import Command
from kselect.cli.main import COMMANDS
from tests.tiny import tiny_classifier, tiny_task

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "insight.md").read_text()


def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    tiny_classifier(tiny_task()).save_pretrained(tmp_path / "runs" / "teacher" / "model")
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "docs/insight.md", "exec"), {})
    assert len(ExampleTable.load(tmp_path / "recording.parquet")) > 0
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


def factors(p: float | Floats, q: float | Floats, temperature: float) -> Floats:
    """Of 10 classes, with weights of 1/2, where the wrong ones share alike what p and q leave them."""
    p, q = np.broadcast_arrays(np.atleast_1d(p), q)
    both = [np.where(np.arange(10) == 0, x[:, None], (1 - x[:, None]) / 9) for x in (p, q)]
    return rescaling_factors(Predictions.of_probabilities(both[0], np.zeros(len(q))), np.log(both[1]), temperature)


def test_what_it_says_of_factors_is_so() -> None:
    q = np.array([0.3, 0.9, 0.99, 0.999])
    of_certain = factors(1.0, q, 2.0)
    assert [f"{w:.3g}" for w in of_certain] == ["1.67", "5.5", "23.7", "87.2"]
    assert "gives 1.67, 5.5, 23.7 and 87 where" in PAGE
    assert factors(1.0, q, 1.0) == pytest.approx(np.ones(4))
    grid = np.linspace(0.05, 0.999, 40)
    p, q = (axis.flatten() for axis in np.meshgrid(grid, grid))
    differ = p != q
    for temperature in (1.0, 2.0, 4.0):
        found = factors(p, q, temperature)
        np.testing.assert_array_equal((found < 0.5)[differ], (q > p)[differ])
        for one in (0.9, 0.999):  # of one student, what is pushed up least is what the teacher doubts most
            pull = factors(grid, one, temperature) * (1 - one)
            assert (np.diff(pull) > 0).all()
    assert factors(p, q, 1.0).max() <= 1 + 1e-9
    wrong, easy = (float(factors(*pair, 2.0)[0]) for pair in ((0.05, 0.6), (0.99, 0.9999)))
    assert easy < -1000 < wrong < 0
    almost = 0.99999
    assert all(factors(0.99, almost, temperature) < -100 for temperature in (1.0, 2.0))
    assert factors(1.0, almost, 2.0) > 100
