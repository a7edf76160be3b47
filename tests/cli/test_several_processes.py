"""Several processes give the student that one process gives with as many micro-batches, under one agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from kselect.cli.main import main
from tests import processes
from tests.tiny import tiny_classifier, tiny_task

SMALL = ["--train_limit", "64", "--max_length", "32", "--batch_size", "8", "--checkpoint_every", "0"]
PHASES = ["--layers", "1", "--phases", "constant", "--phase_steps", "4", "--epochs", "2"]
ENCODER = ["--hidden_size", "16", "--heads", "2", "--encoder_layers", "2", "--epochs", "2"]
TOLERANCE = 1e-4  # of float32 sums in another order, over 16 steps at the learning rates below
PATIENCE = 600  # seconds that a busy machine may take


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task()).save_pretrained(folder)
    return str(folder)


def distil(teacher: str, runs: Path, name: str, *more: str) -> list[str]:
    given = ["--teacher", teacher, "--runs_dir", str(runs), "--run_name", name]
    return ["distill", *SMALL, *PHASES, "--precision", "fp32", "--agent", "online", *given, *more]


def together(words: list[str], count: int, runs: Path) -> None:
    output = runs / "output"
    codes = processes.end(processes.start(words, count, output))
    assert codes == [0] * count, [Path(f"{output}.{i}").read_text() for i in range(count)]
    assert all(not Path(f"{output}.{i}").read_text() for i in range(1, count))  # the first speaks for all


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def decisions(folder: Path) -> np.ndarray[Any, Any]:
    """Weights, reward and losses of each phase."""
    return np.array(
        [
            [*phase["weights"].values(), phase["reward"], *phase["losses"].values()]
            for phase in results(folder)["history"]
        ]
    )


def assert_same_run(folder: Path, other: Path, atol: float = TOLERANCE, model: str = "student") -> None:
    weights = load_file(folder / model / "model.safetensors")
    others = load_file(other / model / "model.safetensors")
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        np.testing.assert_allclose(values, others[name], rtol=0, atol=atol, err_msg=name)
    np.testing.assert_allclose(decisions(folder), decisions(other), rtol=0, atol=atol)
    assert results(folder)["metrics"] == results(other)["metrics"]


@pytest.mark.parametrize(("count", "accumulation", "alone"), [(2, 1, 2), (2, 2, 4), (3, 1, 3)])
def test_students_of_several_processes(teacher: str, tmp_path: Path, count: int, accumulation: int, alone: int) -> None:
    """With dropout. Three processes share batches of 8 unevenly."""
    size = ["--batch_size", "12"] if alone == 3 else []
    together(distil(teacher, tmp_path, "several", *size, "--accumulation", str(accumulation)), count, tmp_path)
    assert main(distil(teacher, tmp_path, "alone", *size, "--accumulation", str(alone))) == 0
    assert_same_run(tmp_path / "several", tmp_path / "alone")
    assert json.loads((tmp_path / "several" / "environment.json").read_text())["processes"] == count
    assert sorted(path.name for path in (tmp_path / "several").iterdir() if path.is_dir()) == ["student"]
