"""Runs of a study on Ray: on two machines of a cluster, here of one machine's processes, and through deaths."""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kselect.cli.main import main
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
from kselect.training.comparison import KEY
from kselect.training.engines import ProcessEngine, Report, make_engine
from kselect.training.study import Cell, Study
from tests.tiny import tiny_classifier, tiny_task

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'kselect[ray]'")
two_machines = pytest.importorskip("tests.ray_cluster").two_machines
start = pytest.importorskip("kselect.training.ray_start")
DIED_AGAIN = pytest.importorskip("kselect.training.ray_engine").DIED_AGAIN

pytestmark = pytest.mark.nightly

ENGINE = EngineConfig(engine="ray", processes=2)
TIMED = ("seconds", "cost", "environment", "relative_cost", "deciding")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with two_machines():
        yield


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    tiny_classifier(tiny_task(), layers=2).save_pretrained(folder)
    return folder


def meet(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Wait until another run is under way at the same time, and say where this one is computed."""
    folder, number = Path(settings["folder"]), settings["number"]
    (folder / str(number)).touch()
    patience = time.monotonic() + 120
    while not (folder / str(number ^ 1)).exists():
        assert time.monotonic() < patience
        time.sleep(0.05)
    report(1, 1)
    return {"machine": ray.get_runtime_context().get_node_id(), "process": os.getpid(), "folder": os.getcwd()}


def test_runs_are_computed_on_both_machines_in_processes_that_stay(tmp_path: Path) -> None:
    runs = [{"number": number, "folder": str(tmp_path)} for number in range(6)]
    reports: list[tuple[int, int, int]] = []
    outcomes = dict(make_engine(ENGINE).run(meet, runs, lambda *state: reports.append(state)))
    assert sorted(outcomes) == list(range(6))
    assert len({outcome["machine"] for outcome in outcomes.values()}) == 2
    assert len({outcome["process"] for outcome in outcomes.values()}) == 2
    assert {outcome["folder"] for outcome in outcomes.values()} == {os.getcwd()}
    assert {index for index, _, _ in reports} == set(range(6))


def die(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """End this process without a word so many times, which a file counts."""
    path = Path(settings["path"])
    lives = len(path.read_text()) if path.exists() else 0
    if lives < settings["deaths"]:
        path.write_text("x" * (lives + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    if settings["deaths"] == 0:
        raise KselectError("it never works")
    return {"deaths": lives}


def test_a_killed_process_is_replaced_and_one_that_always_dies_fails_its_run_alone(tmp_path: Path) -> None:
    cells = [
        Cell({"number": number}, {"path": str(tmp_path / str(number)), "deaths": deaths})
        for number, deaths in enumerate([2, 0, 9, 1])
    ]
    study = Study(cells, die, Ledger(tmp_path / "runs.jsonl", ("number",)), make_engine(ENGINE))
    assert [entry.get("deaths", entry.get("error")) for entry in study.run()] == [2, "it never works", DIED_AGAIN, 1]
    assert [cell.identity["number"] for cell in study.pending] == [1, 2]


def distil_and_die(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Distil, and kill this process in the middle of the first attempt; the steps reported are kept in a file."""
    path = Path(settings["checkpoint"]).with_suffix(".steps")

    def report_or_die(done: int, total: int) -> None:
        report(done, total)
        with path.open("a") as file:
            file.write(f"{done}\n")
        if done >= total / 2 and "died" not in path.read_text():
            with path.open("a") as file:
                file.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)

    return run_cell(settings, report_or_die)


def timeless(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in outcome.items() if name not in TIMED}


def test_a_killed_distillation_goes_on_from_its_checkpoint(teacher: Path, tmp_path: Path) -> None:
    settings = DistillSettings(
        task=TaskConfig("synthetic-acceptability", train_limit=80, max_length=32),
        model=StudentConfig(teacher=str(teacher), layers=1),
        training=TrainingConfig(batch_size=8, epochs=4.0, precision="fp32", learning_rate=3e-3),
        agent=AgentConfig("online"),
        run=RunConfig(checkpoint_every=0.0),
    ).to_dict()
    path = tmp_path / "run.safetensors"
    ((_, outcome),) = make_engine(ENGINE).run(distil_and_die, [{**settings, "checkpoint": str(path)}], lambda *_: None)
    ((_, straight),) = ProcessEngine(1).run(run_cell, [settings], lambda *_: None)
    assert timeless(outcome) == timeless(straight)
    before, after = (part.split() for part in path.with_suffix(".steps").read_text().split("died\n"))
    assert len(before) > 2
    assert int(after[0]) == int(before[-1])  # the phase after the last checkpoint, and none before it
    assert not path.exists()


def test_compare_on_a_cluster_reports_what_it_reports_here(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--train_limit", "80", "--max_length", "32", "--batch_size", "8", "--precision", "fp32", "--layers", "1"]
    words = ["compare", "--task", "synthetic-acceptability", "--teacher", str(teacher), *small, "--epochs", "1"]
    words += ["--agents", "fine-tune,all", "--seeds", "0,1", "--runs_dir", str(tmp_path), "--format", "json"]
    reports = []
    for name, engine in (("here", ["--processes", "2"]), ("there", ["--processes", "2", "--engine", "ray"])):
        assert main([*words, "--run_name", name, *engine]) == 0
        reports.append([timeless(row) for row in json.loads(capsys.readouterr().out)])
    assert reports[0] == reports[1]
    latest = [Ledger(tmp_path / name / "runs.jsonl", KEY).latest() for name in ("here", "there")]
    runs = [{key: timeless(run) for key, run in each.items()} for each in latest]
    assert runs[0] == runs[1]


def test_a_run_that_a_machine_cannot_import_says_what_the_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def run(settings, report):\n    return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("only_here").run
    ((_, outcome),) = make_engine(ENGINE).run(function, [{}], lambda *_: None)
    assert outcome["error"].startswith("A machine of the cluster cannot read the run: give it the Python environment")
    assert "No module named 'only_here'" in outcome["error"]


@pytest.mark.parametrize(
    ("gpus_per_run", "room"), [(0.0, 8), (0.5, 4), (0.4, 4), (0.3, 6), (1.0, 2), (2.0, 1), (3.0, 0)]
)
def test_there_is_room_for_as_many_runs_as_fit_on_single_gpus(gpus_per_run: float, room: int) -> None:
    machine, config = {"CPU": 8.0, "GPU": 2.0}, EngineConfig(engine="ray", gpus_per_run=gpus_per_run)
    assert start.room_on(machine, config) == room
    assert start.room_on({"CPU": 8.0}, config) == (8 if gpus_per_run == 0 else 0)


@pytest.mark.parametrize("reserved", [{"cpus_per_run": 2}, {"gpus_per_run": 1.0}])
def test_what_no_machine_has_is_waited_for_with_advice(
    reserved: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    start.connect(EngineConfig(engine="ray", **reserved), runs=1)
    assert "add machines with ray start, for which it waits, or give a smaller cpus_per_run" in caplog.text


def wait_for_ever(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    Path(settings["path"]).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


def test_a_stopped_study_leaves_no_run_behind(tmp_path: Path) -> None:
    path = tmp_path / "process"

    def stop(index: int, done: int, total: int) -> None:
        if path.exists() and path.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(make_engine(ENGINE).run(wait_for_ever, [{"path": str(path)}], stop))
    patience = time.monotonic() + 60
    while Path(f"/proc/{path.read_text()}").exists():
        assert time.monotonic() < patience
        time.sleep(0.1)


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    handler = signal.getsignal(signal.SIGTERM)
    refused = r"127\.0\.0\.1:1 \(\[Errno 111\] Connection refused\): start it there with ray start"
    with pytest.raises(KselectError, match=refused):
        list(make_engine(ENGINE).run(meet, [{}], lambda *_: None))
    assert signal.getsignal(signal.SIGTERM) == handler


def test_what_this_machine_lacks_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    ray.shutdown()
    monkeypatch.delenv("RAY_ADDRESS")
    config = EngineConfig(engine="ray", gpus_per_run=99)
    with pytest.raises(KselectError, match=r"This machine has room for 0 of 1 runs .* give a smaller") as raised:
        list(make_engine(config).run(meet, [{}], lambda *_: None))
    assert raised.value.setting == "gpus_per_run"
    ray.shutdown()
