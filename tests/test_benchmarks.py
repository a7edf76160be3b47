"""That benchmarks measure what they say, and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from measure import ratios, slope, spread, take_turns

ROOT = Path(__file__).parent.parent


def test_cases_take_turns_back_and_forth_after_a_warm_up():
    order: list[str] = []
    seconds = take_turns({name: partial(order.append, name) for name in "abc"}, rounds=2)
    assert "".join(order) == "cba" + "abc" + "cba"
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_a_case_may_report_its_seconds():
    told = iter([9.0, 1.0, 2.0])
    assert take_turns({"a": lambda: next(told)}, rounds=2) == {"a": [1.0, 2.0]}


def test_ratios_are_taken_round_by_round():
    seconds = {"a": [2.0, 4.0, 9.0], "b": [1.0, 4.0, 1.0], "c": [1.0, 4.0, 2.0]}
    assert ratios(seconds, "a", "b", "c") == [1.0, 0.5, 3.0]
    assert ratios(seconds, "a", "a") == [1.0, 1.0, 1.0]


def test_spread_is_the_median_with_quartiles_or_the_range_of_few():
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0], 1) == "3.0 (2.0-4.0)"
    assert spread([1.0, 2.0, 6.0], 1) == "2.0 (1.0-6.0)"


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_slope_is_the_power_that_time_grows_with(power: float):
    sizes = [1, 2, 4]
    assert slope(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def lists(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    """Give every list of numbers in a benchmark's figures, with the names that lead there."""
    if isinstance(data, dict):
        for name, inside in data.items():
            yield from lists(inside, (*path, name))
    elif isinstance(data, list) and all(isinstance(value, float) for value in data):
        yield path, data


@pytest.mark.nightly
@pytest.mark.parametrize(
    "name",
    [
        "start",
        "knowledge",
        "profiling",
        "step",
        "epoch",
        "branching",
        "values",
        "recording",
        "refinement",
        "memory",
        "growth",
        "engines",
    ],
)
def test_a_quick_look_writes_its_table_and_set_up(name: str, tmp_path: Path):
    path = tmp_path / "results" / f"{name}.json"
    words = [sys.executable, f"benchmarks/{name}.py", "--quick", "--rounds", "1", "--json", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    result = json.loads(path.read_text())
    assert result["table"]["title"] in output
    assert all(len(row) == len(result["table"]["columns"]) for row in result["table"]["rows"])
    assert {"threads", "processor", "torch", "commit", "rounds"} <= result["setup"].keys()
    told = dict(lists(result["data"]))
    assert told or name == "memory"
    assert all(value > 0 for values in told.values() for value in values)
    if name == "knowledge":
        assert told["plain fine-tuning", "to_plain"] == [1.0]
        assert told["fine-tune", "to_fine_tune"] == [1.0]


@pytest.mark.nightly
def test_every_run_under_load_has_one_result_and_no_process_is_left(tmp_path: Path):
    path = tmp_path / "load.json"
    words = [sys.executable, "benchmarks/load.py", "--quick", "--json", str(path)]
    subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)
    for figures in json.loads(path.read_text())["data"].values():
        assert (figures["once"], figures["more"], figures["killed"], figures["left"]) == (20, 0, 1, [])
