"""How long a command takes to start: to its help, and to the first training step.

    python benchmarks/start.py [--rounds 5] [--task mrpc --teacher runs/mrpc-teacher/model]

Each in a process of its own. The first training step is that of `kselect distill` with all default knowledge on
synthetic-acceptability, from a 6-layer teacher of random weights, or of the task
and teacher that are given, in a set-up that has been run once before; it is
there when the first line is in the run's metrics.jsonl, phases lasting one step. Importing torch alone is told beside.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from measure import Case, read_options, report, spread, take_turns

MAIN = ("-c", "from kselect.cli.main import main; raise SystemExit(main())")
BARS = {"kselect --help": 1.5, "first training step": 10.0}
TASK = "synthetic-acceptability"
TOKENS = 64
PAUSE = 0.005
PATIENCE = 600.0


def json_of(*words: str) -> dict[str, Any]:
    """Run Python on `words`, and return the JSON of its last line."""
    output = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def seconds(*words: str) -> float:
    """Return how long Python takes with `words` from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def seconds_until(reached: Callable[[], bool], *words: str) -> float:
    """Return how long Python takes with `words` until `reached` is true, and end it there.

    Raises:
        SystemExit: it ended before, or took ten minutes.
    """
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while not reached():
                over = time.perf_counter() - start > PATIENCE
                if over or (process.poll() is not None and not reached()):
                    errors.seek(0)
                    raise SystemExit(f"{' '.join(words)} ended, or took too long: {errors.read().strip()}")
                time.sleep(PAUSE)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


def make_teacher(folder: Path, hidden_size: int) -> Path:
    """Save a teacher of random weights in `folder`."""
    from pair import make_teacher

    from kselect.tasks.registry import load_task
    from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer

    vocabulary = len(synthetic_tokenizer(TOKENS))  # a folder whose tokenizer knows fewer is refused
    make_teacher(load_task(TASK), TOKENS, hidden_size, vocabulary=vocabulary).save_pretrained(folder)
    return folder


def first_step(folder: Path, task: str, teacher: str, number: int) -> float:
    """Return the seconds until a run's first step is written down."""
    name = f"run-{number}"
    metrics = folder / name / "metrics.jsonl"
    words = [*MAIN, "distill", "--task", task, "--teacher", teacher, "--agent", "all", "--runs_dir", str(folder)]
    words += ["--cache_dir", str(folder / "cache"), "--run_name", name, "--phases", "constant", "--phase_steps", "1"]
    return seconds_until(lambda: metrics.exists() and metrics.stat().st_size > 0, *words)


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "start",
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        task=(TASK, TASK, "what is learned"),
        teacher=("", "", "folder of its teacher; one is made for the synthetic task"),
        rounds=(5, 1, "starts of each kind"),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder, numbers = Path(temporary), count()
        teacher = options.teacher or str(make_teacher(folder / "teacher", options.hidden_size))
        cases: dict[str, Case] = {
            "import torch": partial(seconds, "-c", "import torch"),
            "kselect --help": partial(seconds, *MAIN, "--help"),
            "first training step": lambda: first_step(folder, options.task, teacher, next(numbers)),
        }
        taken = take_turns(cases, options.rounds)
    rows = [[name, spread(times, 2), f"{BARS[name]:g}" if name in BARS else ""] for name, times in taken.items()]
    report(options, "Seconds from the start of a process", ["until", "seconds", "bar"], rows, taken)


if __name__ == "__main__":
    main()
