"""Studies compute each cell once, go on where they were stopped, and survive runs that fail."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kselect.config import EngineConfig
from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from kselect.training.engines import DIED, Engine, ProcessEngine, Report, SerialEngine, make_engine
from kselect.training.study import Cell, Study, check_failures

ENGINES = [SerialEngine(), ProcessEngine(2)]


def square(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Square a number in three steps; fail for odd ones unless a file allows them."""
    for done in range(1, 4):
        report(done, 3)
    if settings.get("needs") and not Path(settings["needs"]).exists():
        raise KselectError("it needs a file")
    return {"square": settings["number"] ** 2, "process": os.getpid()}


def die(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    if settings["number"] == 1:
        os._exit(1)
    return {"square": settings["number"] ** 2}


def wait_for_ever(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    report(1, 2)
    time.sleep(600)
    return {}


def crash(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    raise RuntimeError("no\nmemory")


def lose_the_network(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    raise ConnectionResetError("the hub is gone")


def cells(count: int, **settings: Any) -> list[Cell]:
    return [Cell({"number": number}, {"number": number, **settings}) for number in range(count)]


def make_study(tmp_path: Path, function: Any = square, engine: Engine | None = None, count: int = 3) -> Study:
    return Study(cells(count), function, Ledger(tmp_path / "runs.jsonl", ("number",)), engine)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_study_computes_each_cell_once(tmp_path: Path, engine: Engine) -> None:
    study, steps = make_study(tmp_path, engine=engine), []
    entries: list[dict[str, Any]] = []
    results = study.run(lambda cell, done, total: steps.append((cell, done, total)), entries.append)
    assert [(entry["number"], entry["square"]) for entry in results] == [(0, 0), (1, 1), (2, 4)]
    assert sorted(entry["number"] for entry in entries) == [0, 1, 2]
    assert {total for _, _, total in steps} <= {1, 3}
    assert {cell.identity["number"] for cell, _, _ in steps} == {0, 1, 2}
    assert len({entry["process"] for entry in results} - {os.getpid()}) == (2 if engine is ENGINES[1] else 0)
    larger = make_study(tmp_path, engine=engine, count=4)
    assert [cell.identity["number"] for cell in larger.pending] == [3]
    assert larger.run()[:3] == results
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_study_records_failed_runs_and_tries_them_again(tmp_path: Path, engine: Engine) -> None:
    needed = tmp_path / "file"
    mixed = [*cells(1), *cells(3, needs=str(needed))[1:]]
    study = Study(mixed, square, Ledger(tmp_path / "runs.jsonl", ("number",)), engine)
    entries = study.run()
    assert entries[0]["square"] == 0
    assert [entry["error"] for entry in entries[1:]] == ["it needs a file"] * 2
    with pytest.raises(KselectError, match=r"^2 of 3 runs failed \(it needs a file\)\. Again\.$"):
        check_failures(entries, " Again.")
    needed.touch()
    assert len(study.pending) == 2
    assert [entry["square"] for entry in check_failures(study.run())] == [0, 1, 4]


def test_study_records_an_unexpected_error_with_its_traceback(tmp_path: Path) -> None:
    (entry,) = make_study(tmp_path, crash, count=1).run()
    assert entry["error"] == "RuntimeError: no memory"
    assert "in crash" in entry["traceback"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_lost_connection_of_a_run_is_its_error(tmp_path: Path, engine: Engine) -> None:
    entries = make_study(tmp_path, lose_the_network, engine, count=2).run()
    assert [entry["error"] for entry in entries] == 2 * ["ConnectionResetError: the hub is gone"]


@pytest.mark.slow
def test_a_process_that_dies_fails_its_run_alone(tmp_path: Path) -> None:
    entries = make_study(tmp_path, die, ProcessEngine(2)).run()
    assert [entry.get("square", entry.get("error")) for entry in entries] == [0, DIED, 4]


def die_afterwards(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Square a number; the process of the first one dies a second later, when it waits for the next."""
    if settings["number"] == 0:
        report(1, 2)
        threading.Timer(1, os._exit, (1,)).start()
    return {"square": settings["number"] ** 2}


@pytest.mark.slow
def test_a_process_that_dies_between_runs_keeps_its_finished_run_and_fails_the_next(tmp_path: Path) -> None:
    def wait_for_death(cell: Cell, done: int, total: int) -> None:
        patience = time.monotonic() + 60
        while multiprocessing.active_children() and (done, total) == (1, 2):
            assert time.monotonic() < patience
            time.sleep(0.05)

    entries = make_study(tmp_path, die_afterwards, ProcessEngine(1)).run(wait_for_death)
    assert [entry.get("square", entry.get("error")) for entry in entries] == [0, DIED, 4]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_study_stops_when_the_report_says_so(tmp_path: Path, engine: Engine) -> None:
    def stop(cell: Cell, done: int, total: int) -> None:
        if total > 1:
            raise KeyboardInterrupt

    start = time.monotonic()
    study = make_study(tmp_path, wait_for_ever, engine)
    with pytest.raises(KeyboardInterrupt):
        study.run(stop)
    assert time.monotonic() - start < 120
    assert study.ledger.entries() == []


def test_make_engine_uses_processes_only_for_several() -> None:
    assert isinstance(make_engine(EngineConfig()), SerialEngine)
    assert isinstance(make_engine(EngineConfig(processes=2)), ProcessEngine)
