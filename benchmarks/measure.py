"""Measuring: cases that take turns, ratios of what they took, and a table with its JSON file.

    python benchmarks/measure.py [NAME ...]

Prints the table of every file in benchmarks/results, or of those named, as Markdown, with its machine.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Case = Callable[[], Any]
Seconds = dict[str, list[float]]


def read_options(doc: str | None, name: str, **settings: tuple[Any, Any, str]) -> argparse.Namespace:
    """Read the command line of a benchmark: its own settings, `--clock`, `--quick` and `--json`.

    Args:
        doc: the help.
        name: of the benchmark, and of its file of results.
        settings: by name, the default, the value under `--quick`, and a line of help.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    quick = "--quick" in sys.argv[1:]
    for setting, (default, small, line) in settings.items():
        now = small if quick else default
        parser.add_argument(f"--{setting}", type=type(default), default=now, help=f"{line} (now {now})")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="what is measured: cpu is this process's processor time, for one thread on a machine that others use too",
    )
    parser.add_argument("--quick", action="store_true", help="a look at small sizes, whose figures say little")
    where = None if quick else RESULTS / f"{name}.json"
    parser.add_argument("--json", type=Path, default=where, help=f"file of results (now {where}; a look writes none)")
    return parser.parse_args()


def take_turns(cases: Mapping[str, Case], rounds: int, clock: str = "wall", warm_up: bool = True) -> Seconds:
    """Run every case once a round, so that a machine's changing speed meets all alike.

    Every other round goes backwards, so that none always follows the same one. A case that
    returns a float tells its own seconds; of any other the whole call counts.

    Args:
        cases: what is run, by name.
        rounds: how many are counted.
        clock: a name of `CLOCKS`.
        warm_up: whether one round goes before that is not.
    """
    seconds: Seconds = {name: [] for name in cases}
    for number in range(-1 if warm_up else 0, rounds):
        order = list(cases) if number % 2 == 0 else list(cases)[::-1]
        for name in order:
            start = CLOCKS[clock]()
            told = cases[name]()
            wait()
            elapsed = told if isinstance(told, float) else CLOCKS[clock]() - start
            if number >= 0:
                seconds[name].append(elapsed)
    return seconds


def wait() -> None:
    """Wait for the accelerator, where there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratios(seconds: Seconds, name: str, *others: str) -> list[float]:
    """Return round by round what `name` took, relative to all `others` together."""
    together = map(sum, zip(*(seconds[other] for other in others), strict=True))
    return [own / rest for own, rest in zip(seconds[name], together, strict=True)]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return the median with the quartiles around it, or the range of fewer than four values."""
    median = statistics.median(values)
    low, high = min(values), max(values)
    if len(values) >= 4:
        low, _, high = statistics.quantiles(values, method="inclusive")
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope of the least-squares line through the logarithms: 1 is linear growth."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    return statistics.linear_regression(x, y).slope


def report(
    options: argparse.Namespace,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    data: Mapping[str, Any],
    **setup: Any,
) -> None:
    """Print the table, and write it with its figures and the set-up into the file of results.

    Args:
        options: as `read_options` read them.
        title: a line above the table.
        columns: names, one a column.
        rows: cells as texts.
        data: what the cells were made of.
        setup: what else a reader must know, beyond the options and the machine.
    """
    from kselect.cli.console import print_table

    print_table(title, columns, rows)
    if options.json is None:
        return
    chosen = {name: value for name, value in vars(options).items() if name not in ("json", "quick")}
    table = {"title": title, "columns": columns, "rows": rows}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    whole = {"setup": machine() | chosen | setup, "table": table, "data": data}
    options.json.write_text(json.dumps(whole, indent=1, default=str) + "\n")


def machine() -> dict[str, Any]:
    """Return what the figures depend on: versions, threads, processor and commit."""
    from kselect.runs.provenance import describe

    told = describe(seed=0)
    return {**{name: value for name, value in told.items() if name != "seed"}, "processor": processor()}


def processor() -> str:
    """Return the processor's name, as Linux tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def markdown(name: str, result: dict[str, Any]) -> str:
    """Return one benchmark's table under its title."""
    setup, table = result["setup"], result["table"]
    machine = f"{setup['processor']}, {setup['device']}, {setup['threads']} of {setup['cores']} threads"
    versions = f"torch {setup['torch']}, transformers {setup['transformers']}, commit {str(setup.get('commit'))[:7]}"
    head = [f"### {name}", "", f"{table['title']} ({machine}, {versions}).", ""]
    lines = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    return "\n".join([*head, *(f"| {' | '.join(cells)} |" for cells in lines), ""])


def main() -> None:
    """Print the tables of all results, or of those named."""
    names = sys.argv[1:] or sorted(path.stem for path in RESULTS.glob("*.json"))
    for name in names:
        result = json.loads((RESULTS / f"{name}.json").read_text())
        print(markdown(name, result))


if __name__ == "__main__":
    main()
