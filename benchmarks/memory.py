"""Peak memory of a run with a cached and with a live teacher, and what the cache takes for each token.

    python benchmarks/memory.py [--hidden_size 384] [--tokens 64] [--examples 1024] [--rounds 5]

Each run is a process of its own: a 6-layer teacher, its 3-layer student, batches of 32, one epoch under gold labels and
one knowledge, or all of them. Resident memory counts file-backed pages that are mapped, which the system takes back
when it needs them; anonymous memory (RssAnon, watched every few milliseconds, Linux only) does not, and is what a run
cannot do without. Both are peaks of the whole process. The bar is on anonymous memory: a cached run should not need
more than a live one.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import child
from measure import Case, read_options, report, take_turns

MEBIBYTE = 2**20
PAUSE = 0.005
BAR = 1.0
KNOWLEDGE = ("logits", "hidden", "attention", "relations")
STATUS = Path("/proc/self/status")


class AnonymousPeak:
    """The most anonymous memory that this process has had, as far as a look every few milliseconds shows."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while STATUS.exists():
            self.peak = max(self.peak, status("RssAnon"))
            time.sleep(PAUSE)


def status(field: str) -> int:
    """Return a field of this process's status in bytes, 0 where the system has none."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def one_run(teacher: str, knowledge: str, hidden_size: int, tokens: int, examples: int) -> dict[str, Any]:
    """Take one epoch's steps, and tell this process's peaks in bytes."""
    anonymous = AnonymousPeak()
    import numpy as np
    from pair import BATCH, CACHED, LIVE, cache_bytes, make_distiller, make_task, make_teacher

    task = make_task(tokens, examples)
    kinds = list(KNOWLEDGE) if knowledge == "all" else [knowledge]
    source = CACHED if teacher == "cached" else LIVE
    steps = -(-examples // BATCH)
    model = make_teacher(task, tokens, hidden_size)
    distiller = make_distiller(task, model, tokens, steps, knowledge=["gold", *kinds], **source)
    distiller.advance(np.ones(len(distiller.names)), steps)
    resident = status("VmHWM") or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cache = cache_bytes(distiller) / (tokens * examples)
    return {"resident": resident, "anonymous": anonymous.peak, "cache_bytes_per_token": cache}


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "memory",
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        tokens=(64, 16, "length of the texts"),
        examples=(512, 64, "examples of train"),
        rounds=(5, 1, "runs of each kind"),
    )
    sizes = [str(options.hidden_size), str(options.tokens), str(options.examples)]
    found: dict[str, list[dict[str, float]]] = {}

    def watched(teacher: str, knowledge: str) -> None:
        peaks = child.told(__file__, "--child", teacher, knowledge, *sizes)
        found.setdefault(f"{knowledge}, {teacher}", []).append(peaks)

    cases: dict[str, Case] = {
        f"{knowledge}, {teacher}": partial(watched, teacher, knowledge)
        for knowledge in (*KNOWLEDGE, "all")
        for teacher in ("live", "cached")
    }
    take_turns(cases, options.rounds, warm_up=False)

    rows = []
    for knowledge in (*KNOWLEDGE, "all"):
        median = {
            (teacher, what): statistics.median(peaks[what] for peaks in found[f"{knowledge}, {teacher}"])
            for teacher in ("live", "cached")
            for what in ("resident", "anonymous", "cache_bytes_per_token")
        }
        cells = [
            f"{median[teacher, what] / MEBIBYTE:.0f}"
            for what in ("resident", "anonymous")
            for teacher in ("live", "cached")
        ]
        relative = median["cached", "anonymous"] / max(median["live", "anonymous"], 1)
        cells += [f"{relative:.3f}", f"{BAR:.2f}", f"{median['cached', 'cache_bytes_per_token']:.0f}"]
        rows.append([knowledge if knowledge == "all" else f"gold + {knowledge}", *cells])
    columns = ["knowledge", "resident, live", "cached", "anonymous, live", "cached", "cached / live", "bar"]
    columns += ["cache bytes/token"]
    title = f"Peak MiB of a run, {options.hidden_size} wide, {options.examples} x {options.tokens} tokens"
    report(options, title, columns, rows, found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(one_run(*sys.argv[2:4], *map(int, sys.argv[4:]))))
    else:
        main()
