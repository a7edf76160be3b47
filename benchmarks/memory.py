"""Peak memory of a run with a cached and with a live teacher, and what the cache takes for each token.

    python benchmarks/memory.py [--hidden_size 384] [--tokens 64] [--examples 256] [--rounds 5]

Each run is a process of its own: a 6-layer teacher, its 3-layer student, batches of 32, one epoch under gold labels and
one knowledge, or all of them; with a live teacher, with a cache that it fills first, and with one that is there.
Resident memory counts file-backed pages that are mapped, which the system takes back when it needs them; anonymous
memory (RssAnon, watched every few milliseconds, Linux only) does not, and is what a run cannot do without. Both are
peaks of the whole process. The bar is on anonymous memory: a cached run should not need more than a live one.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from measure import Case, read_options, report, take_turns
from start import json_of

MEBIBYTE = 2**20
PAUSE = 0.005
BAR = 1.0
WATCHED = ("logits", "all")  # the least and the most
KINDS = ("resident", "anonymous")
WAYS = ("live", "first", "later")
KNOWLEDGE = ("logits", "hidden", "attention", "relations")
PEAKS = ("resident: live", "first", "later", "anonymous: live", "first", "later")
COLUMNS = ("knowledge", "cache bytes/token", *PEAKS, "first / live", "later / live", "bar")
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


def one_run(folder: str, knowledge: str, hidden_size: int, tokens: int, examples: int) -> dict[str, Any]:
    """Take one epoch's steps with the cache in `folder`, or live without one, and tell the peaks in bytes."""
    anonymous = AnonymousPeak()
    import numpy as np
    from pair import BATCH, LIVE, make_distiller, make_task, make_teacher

    task = make_task(tokens, examples)
    kinds = list(KNOWLEDGE) if knowledge == "all" else [knowledge]
    source = {"cache_dir": folder} if folder else LIVE
    steps = -(-examples // BATCH)
    model = make_teacher(task, tokens, hidden_size)
    distiller = make_distiller(task, model, tokens, steps, knowledge=["gold", *kinds], **source)
    distiller.advance(np.ones(len(distiller.names)), steps)
    resident = status("VmHWM") or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = Path(folder).rglob("*") if folder else ()
    size = sum(path.stat().st_size for path in files if path.is_file())
    return {"resident": resident, "anonymous": anonymous.peak, "cache_bytes_per_token": size / (tokens * examples)}


def main() -> None:
    """Run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "memory",
        hidden_size=(384, 64, "width of both models, a multiple of 32"),
        tokens=(64, 16, "length of the texts"),
        examples=(256, 64, "examples of train"),
        rounds=(5, 1, "runs of each kind"),
    )
    sizes = [str(options.hidden_size), str(options.tokens), str(options.examples)]
    found: dict[str, list[dict[str, float]]] = {}

    def watched(way: str, knowledge: str, folder: str) -> None:
        peaks = json_of(__file__, "--child", folder, knowledge, *sizes)
        found.setdefault(f"{knowledge}, {way}", []).append(peaks)

    def first(knowledge: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            watched("first", knowledge, folder)

    with tempfile.TemporaryDirectory() as kept:
        folders = {knowledge: str(Path(kept, knowledge)) for knowledge in (*KNOWLEDGE, "all")}
        filled = {name: json_of(__file__, "--child", folder, name, *sizes) for name, folder in folders.items()}
        cases: dict[str, Case] = {}
        for knowledge in WATCHED:
            cases[f"{knowledge}, live"] = partial(watched, "live", knowledge, "")
            cases[f"{knowledge}, first"] = partial(first, knowledge)
            cases[f"{knowledge}, later"] = partial(watched, "later", knowledge, folders[knowledge])
        take_turns(cases, options.rounds, warm_up=False)

    rows = []
    for knowledge in folders:
        cells = [knowledge if knowledge == "all" else f"gold + {knowledge}"]
        cells += [f"{filled[knowledge]['cache_bytes_per_token']:.1f}"]
        if knowledge in WATCHED:
            median = {
                (way, what): statistics.median(peaks[what] for peaks in found[f"{knowledge}, {way}"])
                for way in WAYS
                for what in KINDS
            }
            cells += [f"{median[way, what] / MEBIBYTE:.0f}" for what in KINDS for way in WAYS]
            live = max(median["live", "anonymous"], 1)
            cells += [f"{median[way, 'anonymous'] / live:.3f}" for way in ("first", "later")] + [f"{BAR:.2f}"]
        rows.append(cells + [""] * (len(COLUMNS) - len(cells)))
    title = f"Peak MiB of a run, {options.hidden_size} wide, {options.examples} x {options.tokens} tokens"
    report(options, title, COLUMNS, rows, {"peaks": found, "filled": filled})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(one_run(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))))
    else:
        main()
