"""Runs of a study as jobs of submitit's executor on this machine, which knows no SLURM: results, deaths, requeuing."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kselect.config import (
    AgentConfig,
    DistillSettings,
    EngineConfig,
    RunConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
)
from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from kselect.training.cells import run_cell
from kselect.training.engines import UNREADABLE, Engine, ProcessEngine, Report
from kselect.training.study import Cell, Study
from tests.tiny import tiny_classifier, tiny_task

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'kselect[slurm]'")
SlurmEngine = pytest.importorskip("kselect.training.slurm_engine").SlurmEngine

pytestmark = pytest.mark.nightly

TIMED = ("seconds", "cost", "environment", "relative_cost", "deciding")


@pytest.fixture(autouse=True)
def shared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the study is started, and jobs keep their files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # what is pickled here is imported there
    return tmp_path


def engine(processes: int = 2) -> Engine:
    return SlurmEngine(EngineConfig(engine="slurm", processes=processes), cluster="local")


def square_or_fail(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Square a number; the second run ends without a word, the third with an error."""
    report(1, 2)
    if settings["number"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if settings["number"] == 2:
        raise KselectError("it never works")
    time.sleep(2)  # so that its steps are read
    return {"square": settings["number"] ** 2, "process": os.getpid(), "folder": os.getcwd()}


def test_each_run_is_a_job_and_one_that_dies_fails_alone(tmp_path: Path) -> None:
    cells = [Cell({"number": number}, {"number": number}) for number in range(4)]
    study = Study(cells, square_or_fail, Ledger(tmp_path / "runs.jsonl", ("number",)), engine())
    steps: list[tuple[int, int, int]] = []
    entries = study.run(lambda cell, done, total: steps.append((cell.identity["number"], done, total)))
    assert [entry.get("square") for entry in entries] == [0, None, None, 9]
    assert entries[1]["error"] == "The process died, possibly out of memory; its job is FINISHED"
    assert entries[2]["error"] == "it never works"
    assert len({entry["process"] for entry in entries if "process" in entry} | {os.getpid()}) == 3
    assert {entry["folder"] for entry in entries if "folder" in entry} == {str(tmp_path)}
    assert {(0, 1, 2), (3, 1, 2)} <= set(steps)
    assert not list(tmp_path.glob(".slurm-*"))


def test_a_run_that_a_machine_cannot_read_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "only_here.py").write_text("def run(settings, report):\n    return {}\n")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    ((_, outcome),) = engine().run(import_module("only_here").run, [{}], lambda *_: None)
    assert outcome["error"] == UNREADABLE
    assert "No module named 'only_here'" in outcome["traceback"]


def distil_until_time_is_up(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Distil, and in the middle of the first attempt, get the signal that SLURM sends before it ends a job."""
    path = Path(settings["checkpoint"]).with_suffix(".steps")

    def report_or_stop(done: int, total: int) -> None:
        report(done, total)
        with path.open("a") as file:
            file.write(f"{done}\n")
        if done >= total / 2 and "up" not in path.read_text():
            with path.open("a") as file:
                file.write("up\n")
            os.kill(os.getpid(), signal.SIGUSR2)

    return run_cell(settings, report_or_stop)


def test_a_run_whose_time_is_up_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    tiny_classifier(tiny_task(), layers=2).save_pretrained(tmp_path / "teacher")
    settings = DistillSettings(
        task=TaskConfig("synthetic-acceptability", train_limit=80, max_length=32),
        model=StudentConfig(teacher=str(tmp_path / "teacher"), layers=1),
        training=TrainingConfig(batch_size=8, epochs=4.0, precision="fp32", learning_rate=3e-3),
        agent=AgentConfig("online"),
        run=RunConfig(checkpoint_every=0.0),
    ).to_dict()
    path = tmp_path / "run.safetensors"
    runs = [{**settings, "checkpoint": str(path)}]
    ((_, outcome),) = engine().run(distil_until_time_is_up, runs, lambda *_: None)
    ((_, straight),) = ProcessEngine(1).run(run_cell, [settings], lambda *_: None)
    outcome, straight = (
        {name: value for name, value in each.items() if name not in TIMED} for each in (outcome, straight)
    )
    assert outcome == straight
    before, after = (part.split() for part in path.with_suffix(".steps").read_text().split("up\n"))
    assert int(after[0]) == int(before[-1])  # the phase after the last checkpoint, and none before it
    assert not path.exists()


def wait_for_ever(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    report(1, 2)
    Path(settings["path"]).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


def test_a_stopped_study_cancels_its_jobs(tmp_path: Path) -> None:
    path = tmp_path / "process"

    def stop(index: int, done: int, total: int) -> None:
        if path.exists() and path.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine().run(wait_for_ever, [{"path": str(path)}], stop))
    patience = time.monotonic() + 60
    while Path(f"/proc/{path.read_text()}").exists():
        assert time.monotonic() < patience
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("srun") is not None, reason="there is SLURM here")
def test_a_machine_without_slurm_is_refused_with_advice() -> None:
    config = EngineConfig(engine="slurm")
    assert list(SlurmEngine(config).run(wait_for_ever, [], lambda *_: None)) == []  # a study that is finished
    with pytest.raises(KselectError, match=r'Could not detect "srun".*: start this where sbatch and srun work'):
        list(SlurmEngine(config).run(wait_for_ever, [{}], lambda *_: None))
