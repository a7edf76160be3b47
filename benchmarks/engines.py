"""How many runs of a study each engine computes in an hour of a core, and which share of the time is training steps.

    python benchmarks/engines.py [--runs 12] [--processes 2] [--epochs 2] [--clock cpu]

The runs are those of `kselect compare` on synthetic-acceptability, by fine-tune and all, from a teacher of random
weights, in a study of its own each time: starting processes and Ray, loading models and filling the cache of teacher
outputs count. All engines have as many cores, `processes`; in one process, a run has all of them as threads. `a process
a run` starts each run cold, in a process of its own. Ray is measured where it is installed.

A process is warm once it has ended its first run: the share of steps in a warm process is that of all its time from
there to the end of its last run. With `--clock cpu`, times are processor time, Ray's own processes included: it leaves
out how long a process waits for its next run, which the last column shows in seconds by the wall clock.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from measure import CLOCKS, ratios, read_options, report, spread, take_turns
from start import TASK, make_teacher

COLD = "a process a run"
ENGINES: dict[str, dict[str, Any]] = {"one process": {"processes": 1}, "processes": {}, "ray": {"engine": "ray"}}
AGENTS = ("fine-tune", "all")
BARS = {"share": 0.95, "/ cold": 1.3}
COLUMNS = ("engine", "seconds of a run", "runs per core-hour", "/ cold", "share of steps", "warm", "wait (s)")


def settings_of(teacher: Path, cache: Path, options: Any) -> list[dict[str, Any]]:
    """Return the runs of a study, those under one seed next to each other."""
    from kselect.config import (
        AgentConfig,
        DistillSettings,
        KnowledgeConfig,
        RunConfig,
        StudentConfig,
        TaskConfig,
        TrainingConfig,
    )

    return [
        DistillSettings(
            task=TaskConfig(TASK, train_limit=options.examples),
            model=StudentConfig(teacher=str(teacher)),
            training=TrainingConfig(epochs=options.epochs),
            knowledge=KnowledgeConfig(cache_dir=str(cache)),
            agent=AgentConfig(AGENTS[number % len(AGENTS)]),
            run=RunConfig(seed=number // len(AGENTS)),
        ).to_dict()
        | {"clock": options.clock}
        for number in range(options.runs)
    ]


def timed_run(settings: Mapping[str, Any], report_steps: Callable[[int, int], None]) -> dict[str, Any]:
    """Compute a run, and return the seconds of its training steps, with the time of its process before and after."""
    from kselect.distillation.cost_account import CostAccount
    from kselect.training.cells import run_cell

    clock = CLOCKS[settings["clock"]]
    CostAccount.clock = staticmethod(clock)
    begin = {"clock": clock(), "wall": time.perf_counter()}
    outcome = run_cell({name: value for name, value in settings.items() if name != "clock"}, report_steps)
    end = {"clock": clock(), "wall": time.perf_counter()}
    return {"process": os.getpid(), "begin": begin, "end": end, "steps": outcome["seconds"]["student"]}


def cold(runs: Sequence[Mapping[str, Any]], processes: int) -> list[dict[str, Any]]:
    """Compute each run in a process of its own, so many at a time."""
    from kselect.training.engines import ProcessEngine

    def compute(run: Mapping[str, Any]) -> dict[str, Any]:
        ((_, outcome),) = ProcessEngine(1).run(timed_run, [run], lambda *_: None)
        return outcome

    with ThreadPoolExecutor(processes) as threads:
        return list(threads.map(compute, runs))


def processor_seconds(outcomes: Sequence[Mapping[str, Any]]) -> float:
    """Return the processor time of the processes that computed runs, and of others that are under this one now."""
    import psutil

    workers = {outcome["process"]: outcome["end"]["clock"] for outcome in outcomes}
    seconds = list(workers.values())
    for process in psutil.Process().children(recursive=True):
        if process.pid not in workers:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                seconds.append(sum(process.cpu_times()[:2]))
    return sum(seconds)


def warm(outcomes: Sequence[Mapping[str, Any]]) -> tuple[float, float, list[float]]:
    """Return the seconds of training steps in warm processes, all their seconds, and their waits between two runs."""
    by_process: dict[int, list[Mapping[str, Any]]] = {}
    for outcome in sorted(outcomes, key=lambda each: each["end"]["wall"]):
        by_process.setdefault(outcome["process"], []).append(outcome)
    pairs = [pair for runs in by_process.values() for pair in pairwise(runs)]
    return (
        sum(after["steps"] for _, after in pairs),
        sum(after["end"]["clock"] - before["end"]["clock"] for before, after in pairs),
        [after["begin"]["wall"] - before["end"]["wall"] for before, after in pairs],
    )


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "engines",
        hidden_size=(192, 64, "width of both models, a multiple of 32"),
        examples=(640, 64, "training examples"),
        epochs=(2.0, 1.0, "epochs of a run"),
        runs=(12, 4, "runs of a study"),
        processes=(2, 2, "runs at a time, and cores"),
        rounds=(3, 1, "studies by each engine"),
        engines=(",".join([COLD, *ENGINES]), ",".join([COLD, *ENGINES]), "which engines, separated by commas"),
    )
    os.environ["OMP_NUM_THREADS"] = str(options.processes)  # before torch is imported
    import torch

    from kselect.config import EngineConfig
    from kselect.training.engines import make_engine

    found: dict[str, dict[str, list[float]]] = {}

    def study(name: str, folder: Path, teacher: Path) -> float:
        """Compute a study, and return the seconds of its cores."""
        config = EngineConfig(**{"processes": options.processes, **ENGINES.get(name, {})})
        start, used = time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            runs = settings_of(teacher, Path(cache), options)
            torch.set_num_threads(1 if name == COLD else options.processes)
            if name == COLD:
                outcomes = cold(runs, options.processes)
            else:
                outcomes = [outcome for _, outcome in make_engine(config).run(timed_run, runs, lambda *_: None)]
        failed = next((outcome["error"] for outcome in outcomes if "error" in outcome), None)
        if failed is not None:
            raise SystemExit(f"A run by {name} failed: {failed}")
        taken = (time.perf_counter() - start) * options.processes
        if options.clock == "cpu":
            others = [outcome for outcome in outcomes if outcome["process"] != os.getpid()]
            taken = time.process_time() - used + processor_seconds(others)
        if config.engine == "ray":
            import ray

            ray.shutdown()
        figures = found.setdefault(name, {"share": [], "warm": [], "wait": []})
        figures["share"].append(sum(outcome["steps"] for outcome in outcomes) / taken)
        steps, seconds, waits = warm(outcomes)
        if waits:
            figures["warm"].append(steps / seconds)
            figures["wait"] += waits
        return taken

    chosen = options.engines.split(",")
    names = [name for name in chosen if name != "ray" or find_spec("ray") is not None]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        teacher = make_teacher(folder / "teacher", options.hidden_size)
        cases = {name: (lambda name=name: study(name, folder, teacher)) for name in names}
        taken = take_turns(cases, options.rounds, warm_up=False)
    rows = []
    for name in names:
        of_runs = [seconds / options.runs for seconds in taken[name]]
        found[name]["gain"] = [1 / ratio for ratio in ratios(taken, name, COLD)] if COLD in names else []
        cells = [found[name][figure] for figure in ("gain", "share", "warm", "wait")]
        per_hour = [3600 / seconds for seconds in of_runs]
        rows.append([name, spread(of_runs, 1), spread(per_hour, 0), *(spread(c, 2) if c else "" for c in cells)])
    rows.append(["bar", "", "", f"{BARS['/ cold']:g}", "", f"{BARS['share']:g}", ""])
    title = f"{options.runs} runs on {options.processes} cores, seconds of {options.clock}"
    report(options, title, COLUMNS, rows, {"seconds": taken, **found})


if __name__ == "__main__":
    main()
