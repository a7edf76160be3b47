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
    return [
        "distill",
        "--task",
        "synthetic-acceptability",
        *SMALL,
        *PHASES,
        "--precision",
        "fp32",
        "--agent",
        "online",
        *given,
        *more,
    ]


def together(words: list[str], count: int, runs: Path) -> None:
    output = runs / "output"
    codes = processes.end(processes.start(words, count, output))
    assert codes == [0] * count, [Path(f"{output}.{i}").read_text() for i in range(count)]
    assert all(not Path(f"{output}.{i}").read_text() for i in range(1, count))  # the first speaks for all


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def phases(folder: Path) -> list[dict[str, float]]:
    """The numbers of each phase in the log, without what depends on the time."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if isinstance(v, float) and not k.startswith("cost/")} for line in lines]


def assert_same_run(folder: Path, other: Path, atol: float = TOLERANCE, model: str = "student") -> None:
    weights = load_file(folder / model / "model.safetensors")
    others = load_file(other / model / "model.safetensors")
    assert weights.keys() == others.keys()
    for name, values in weights.items():
        np.testing.assert_allclose(values, others[name], rtol=0, atol=atol, err_msg=name)
    assert len(phases(folder)) == len(phases(other)) > 1
    for phase, same in zip(phases(folder), phases(other), strict=True):
        assert phase == pytest.approx(same, abs=atol)
    assert results(folder)["metrics"] == results(other)["metrics"]


@pytest.mark.parametrize(
    ("count", "batch", "accumulation", "alone"),
    [
        (2, 8, 1, 2),
        (2, 8, 2, 4),
        pytest.param(3, 12, 1, 3, marks=pytest.mark.nightly),
        pytest.param(3, 2, 1, 2, marks=pytest.mark.nightly),
    ],
)
def test_students_of_several_processes(
    teacher: str, tmp_path: Path, count: int, batch: int, accumulation: int, alone: int
) -> None:
    """With dropout, in the last case with a process too many for the examples of a batch."""
    size = ["--batch_size", str(batch), "--accumulation"]
    together(distil(teacher, tmp_path, "several", *size, str(accumulation)), count, tmp_path)
    assert main(distil(teacher, tmp_path, "alone", *size, str(alone))) == 0
    assert_same_run(tmp_path / "several", tmp_path / "alone")
    assert json.loads((tmp_path / "several" / "environment.json").read_text())["processes"] == count
    assert sorted(path.name for path in (tmp_path / "several").iterdir() if path.is_dir()) == ["student"]


@pytest.mark.nightly
def test_mixed_precision_in_several_processes(teacher: str, tmp_path: Path) -> None:
    precision = ["--precision", "bf16"]
    together(distil(teacher, tmp_path, "several", *precision), 2, tmp_path)
    assert main(distil(teacher, tmp_path, "alone", "--accumulation", "2", *precision)) == 0
    assert_same_run(tmp_path / "several", tmp_path / "alone")


@pytest.mark.slow
def test_teachers_of_several_processes(tmp_path: Path) -> None:
    words = ["train-teacher", *SMALL, *ENCODER, "--task", "synthetic-acceptability", "--runs_dir", str(tmp_path)]
    together([*words, "--run_name", "several"], 2, tmp_path)
    assert main([*words, "--run_name", "alone", "--accumulation", "2"]) == 0
    assert_same_run(tmp_path / "several", tmp_path / "alone", model="model")


@pytest.mark.slow
def test_a_stopped_run_of_several_processes_resumes(teacher: str, tmp_path: Path) -> None:
    long = ["--epochs", "4"]
    together(distil(teacher, tmp_path, "straight", *long), 2, tmp_path)
    words = distil(teacher, tmp_path, "stopped", *long)
    started = processes.start(words, 2, tmp_path / "stopped-output")
    metrics, patience = tmp_path / "stopped" / "metrics.jsonl", time.monotonic() + PATIENCE
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert time.monotonic() < patience
        time.sleep(0.01)
    for number in (signal.SIGINT, signal.SIGTERM):  # as a terminal and a launcher send them
        for process in started:
            os.kill(process, number)
    assert processes.end(started) == [130, 0]
    assert processes.end(processes.start([*words, "--learning_rate", "0.1"], 2, tmp_path / "other")) == [2, 0]
    assert "learning_rate" in (tmp_path / "other.0").read_text()
    together(words, 2, tmp_path)
    assert_same_run(tmp_path / "stopped", tmp_path / "straight", atol=0.0)


def test_a_diverged_run_of_several_processes_ends(teacher: str, tmp_path: Path) -> None:
    words = [*distil(teacher, tmp_path, "diverged"), "--learning_rate", "1e30", "--warmup", "0"]
    assert processes.end(processes.start(words, 2, tmp_path / "output")) == [2, 0]
    assert "The last good state is saved in" in (tmp_path / "output.0").read_text()
    assert not (tmp_path / "output.1").read_text()


def test_what_several_processes_refuse(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in processes.environment(0, 2, 1).items():
        monkeypatch.setenv(name, value)
    assert main(["evaluate", teacher, "--task", "synthetic-acceptability"]) == 2
    assert "kselect evaluate runs in one process, and a launcher has started 2" in capsys.readouterr().err
    assert main(distil(teacher, tmp_path, "recorded", "--record", "true")) == 2
    assert "record needs every example in one process" in capsys.readouterr().err
    assert not (tmp_path / "recorded").exists()


@pytest.mark.nightly
def test_torchrun_starts_the_processes(teacher: str, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port"]
    words = [*launch, str(processes.free_port()), "-m", "kselect"]
    subprocess.run([*words, *distil(teacher, tmp_path, "several")], check=True)
    assert main(distil(teacher, tmp_path, "alone", "--accumulation", "2")) == 0
    assert_same_run(tmp_path / "several", tmp_path / "alone")
