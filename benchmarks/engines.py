"""How many runs of a study each engine computes in an hour of a core, and which share of the time is training steps.

    python benchmarks/engines.py [--runs 12] [--processes 2] [--epochs 2]

The runs are those of `kselect compare` on synthetic-acceptability, by fine-tune and all, from a teacher of random
weights, in a study of its own each time: starting processes and Ray, loading models and filling the cache of teacher
outputs count. All engines have as many cores, `processes`; in one process, a run has all of them as threads. Ray is
measured where it is installed.
"""

from __future__ import annotations

import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure import read_options, report, spread, take_turns
from start import TASK, make_teacher

ENGINES: dict[str, dict[str, Any]] = {"one process": {"processes": 1}, "processes": {}, "ray": {"engine": "ray"}}
AGENTS = ("fine-tune", "all")


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
        for number in range(options.runs)
    ]


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
    )
    os.environ["OMP_NUM_THREADS"] = str(options.processes)  # before torch is imported
    from kselect.config import EngineConfig
    from kselect.training.cells import run_cell
    from kselect.training.engines import make_engine

    shares: dict[str, list[float]] = {}

    def study(name: str, folder: Path, teacher: Path) -> float:
        """Compute a study, and return its seconds."""
        config = EngineConfig(**{"processes": options.processes, **ENGINES[name]})
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            runs = settings_of(teacher, Path(cache), options)
            start = time.perf_counter()
            outcomes = [outcome for _, outcome in make_engine(config).run(run_cell, runs, lambda *_: None)]
            taken = time.perf_counter() - start
        if config.engine == "ray":
            import ray

            ray.shutdown()
        failed = next((outcome["error"] for outcome in outcomes if "error" in outcome), None)
        if failed is not None:
            raise SystemExit(f"A run by {name} failed: {failed}")
        steps = sum(outcome["seconds"]["student"] for outcome in outcomes)
        shares.setdefault(name, []).append(steps / (taken * config.processes))
        return taken

    names = [name for name in ENGINES if name != "ray" or find_spec("ray") is not None]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        teacher = make_teacher(folder / "teacher", options.hidden_size)
        cases = {name: (lambda name=name: study(name, folder, teacher)) for name in names}
        taken = take_turns(cases, options.rounds, warm_up=False)
    per_hour = {
        name: [3600 * options.runs / (seconds * options.processes) for seconds in times]
        for name, times in taken.items()
    }
    rows = [[name, spread(taken[name], 1), spread(per_hour[name], 0), spread(shares[name], 2)] for name in names]
    columns = ["engine", "seconds of a study", "runs per core-hour", "share of steps"]
    data = {"seconds": taken, "per_hour": per_hour, "shares": shares}
    report(options, f"{options.runs} runs on {options.processes} cores", columns, rows, data)


if __name__ == "__main__":
    main()
