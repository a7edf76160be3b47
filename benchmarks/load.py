"""Many short runs through each engine, some of which lose their process: results, and what is left behind.

    python benchmarks/load.py [--runs 500] [--killed 5] [--processes 2] [--engines processes,ray]

The runs are those of a study with a ledger, on synthetic-acceptability with tiny models. Some of those in the second
fifth kill their process in the middle of their first attempt; Ray tries these again, and so does a second call of a
study in local processes. Every run must have one result in the ledger, and in the end no process may be left but
Python's own resource tracker. Processes, open handles and resident memory (Linux only) are counted after a tenth of the
results, and after all but as many as lost their process: those of this process, and those of all below it. Memory of
the process that has computed most runs is that after its tenth run and after its last.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from measure import read_options, report
from start import TASK, make_teacher

ENGINES: dict[str, dict[str, Any]] = {"processes": {}, "ray": {"engine": "ray"}}
AGENTS = ("fine-tune", "all")
PATIENCE = 30.0
"""Seconds that processes have to end in."""
COLUMNS = ("engine", "runs", "results, of one run each", "killed", "processes", "left", "handles here", "below")
MEMORY = ("MiB here", "below", "MiB of the longest-lived")


def settings_of(number: int, teacher: Path, folder: Path, is_killed: bool) -> dict[str, Any]:
    """Return the settings of a run, and the file that says that its process was killed before."""
    from kselect.config import (
        AgentConfig,
        DistillSettings,
        KnowledgeConfig,
        RunConfig,
        StudentConfig,
        TaskConfig,
        TrainingConfig,
    )

    settings = DistillSettings(
        task=TaskConfig(TASK, train_limit=32),
        model=StudentConfig(teacher=str(teacher), layers=1),
        training=TrainingConfig(epochs=1.0, batch_size=8),
        knowledge=KnowledgeConfig(cache_dir=str(folder / "cache")),
        agent=AgentConfig(AGENTS[number % len(AGENTS)]),
        run=RunConfig(seed=number // len(AGENTS)),
    )
    return {**settings.to_dict(), "killed": str(folder / f"killed-{number}") if is_killed else None}


def mortal_run(settings: Mapping[str, Any], report_steps: Callable[[int, int], None]) -> dict[str, Any]:
    """Compute a run, and return its process with the memory that this has then, in bytes."""
    from kselect.training.cells import run_cell

    killed = settings["killed"]

    def report_or_die(done: int, total: int) -> None:
        report_steps(done, total)
        if killed is not None and not Path(killed).exists():
            Path(killed).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    outcome = run_cell({name: value for name, value in settings.items() if name != "killed"}, report_or_die)
    return {"metrics": outcome["metrics"], "process": os.getpid(), "memory": psutil.Process().memory_info().rss}


def count_resources() -> dict[str, int]:
    """Count the processes below this one, and handles and memory of this one and of them."""
    here, below = psutil.Process(), []
    for process in descendants():
        with suppress(psutil.NoSuchProcess):
            below.append((process.num_fds(), process.memory_info().rss))
    return {
        "processes": len(below),
        "handles here": here.num_fds(),
        "handles below": sum(handles for handles, _ in below),
        "memory here": here.memory_info().rss,
        "memory below": sum(memory for _, memory in below),
    }


def descendants() -> dict[psutil.Process, str]:
    """Return the processes below this one, without Python's resource tracker, and their commands."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            found[process] = " ".join(process.cmdline())
    return {process: command for process, command in found.items() if "resource_tracker" not in command}


def wait_for_end() -> dict[psutil.Process, str]:
    """Return the processes below this one that do not end by themselves, and their commands."""
    patience = time.monotonic() + PATIENCE
    while descendants() and time.monotonic() < patience:
        time.sleep(0.5)
    return descendants()


def counted_after(options: Any) -> tuple[int, int]:
    """Return after how many results resources are counted; all later ones may be those of a second call."""
    return options.runs // 10, options.runs - options.killed


def load(name: str, teacher: Path, folder: Path, options: Any) -> dict[str, Any]:
    """Compute the runs by an engine, and return what was counted."""
    from kselect.config import EngineConfig
    from kselect.runs.run_log import Ledger
    from kselect.training.engines import make_engine
    from kselect.training.study import Cell, Study

    killed = {round(options.runs / 5 * (1 + (i + 1) / (options.killed + 1))) for i in range(options.killed)}
    cells = [
        Cell({"number": number}, settings_of(number, teacher, folder, number in killed))
        for number in range(options.runs)
    ]
    config = EngineConfig(**{"processes": options.processes, **ENGINES[name]})
    study = Study(cells, mortal_run, Ledger(folder / "runs.jsonl", ("number",)), make_engine(config))
    entries: list[dict[str, Any]] = []
    looks: list[dict[str, int]] = []

    def count(entry: dict[str, Any]) -> None:
        if "error" not in entry:
            entries.append(entry)
            if len(entries) in counted_after(options):
                looks.append(count_resources())

    start = time.perf_counter()
    study.run(on_entry=count)
    if study.pending:  # whose process was killed
        study.run(on_entry=count)
    taken = time.perf_counter() - start
    if config.engine == "ray":
        import ray

        ray.shutdown()
    results = Counter(entry["number"] for entry in study.ledger.entries() if "error" not in entry)
    by_process: dict[int, list[int]] = {}
    for entry in entries:
        by_process.setdefault(entry["process"], []).append(entry["memory"])
    return {
        "seconds": [taken],
        "once": sum(count == 1 for count in results.values()),
        "more": sum(count > 1 for count in results.values()),
        "killed": sum(path.exists() for path in map(Path, filter(None, (c.settings["killed"] for c in cells)))),
        "looks": looks,
        "left": list(wait_for_end().values()),
        "longest": max(by_process.values(), key=len),
    }


def row_of(name: str, runs: int, figures: Mapping[str, Any]) -> list[str]:
    """Return the cells of an engine, with a tenth of the runs done and in the end."""
    early, late = figures["looks"]
    counted = {key: f"{early[key]}, {late[key]}" for key in ("processes", "handles here", "handles below")}
    memory = [f"{early[key] / 2**20:.0f}, {late[key] / 2**20:.0f}" for key in ("memory here", "memory below")]
    longest = figures["longest"]
    grown = f"{longest[min(9, len(longest) - 1)] / 2**20:.0f}, {longest[-1] / 2**20:.0f} (run {len(longest)})"
    return [
        name,
        str(runs),
        str(figures["once"]) + (f" and {figures['more']} of several" if figures["more"] else ""),
        str(figures["killed"]),
        counted["processes"],
        str(len(figures["left"])),
        counted["handles here"],
        counted["handles below"],
        *memory,
        grown,
    ]


def main() -> None:
    """Run the studies, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "load",
        hidden_size=(64, 32, "width of both models, a multiple of 32"),
        runs=(500, 20, "runs of a study"),
        killed=(5, 1, "how many of them lose their process once"),
        processes=(2, 2, "runs at a time, and cores"),
        engines=(",".join(ENGINES), ",".join(ENGINES), "which engines, separated by commas"),
    )
    names = [name for name in options.engines.split(",") if name != "ray" or find_spec("ray") is not None]
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        teacher = make_teacher(Path(temporary, "teacher"), options.hidden_size)
        for name in names:
            folder = Path(temporary, name)
            folder.mkdir()
            found[name] = load(name, teacher, folder, options)
    early, late = counted_after(options)
    title = f"{options.runs} runs, {options.processes} at a time; after {early} results, and after {late}"
    rows = [row_of(name, options.runs, figures) for name, figures in found.items()]
    report(options, title, [*COLUMNS, *MEMORY], rows, found)


if __name__ == "__main__":
    main()
