"""Scores of finished students, as they lie on disk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from kselect.analysis.doctor.verdicts import Outcomes, Scores, at_temperature
from kselect.errors import KselectError
from kselect.runs.resume import is_archived
from kselect.schedule import Schedule

UNTEMPERED = ("gold", "fine-tune", "label-smoothing", "kd-sim")
"""What reads no teacher at a temperature, and is the same at all of them."""

Told = tuple[dict[str, Any], str | None]
"""What a results.json says, and the temperature of its run, where that is another one than the doctor's."""


def read_outcomes(path: str | Path, task: str, temperature: float | None = None) -> Outcomes:
    """Read the scores of students of `task`, by agent or knowledge, each seed once; see `Outcomes`.

    A rung that is another by arithmetic is the other's name. Students that learned at another temperature T, by the
    config.yaml beside their results.json, are called `name@T`; where there are such, those of the doctor's own have a
    second name that says it.

    Args:
        path: a folder of runs, those set aside left out, or of one run of `distill` or `explain`; a file of JSON lines,
            each with what a results.json says; or a JSON file of lists of scores by name, by itself or under "scores".
        task: only students of it are read, where the runs say what theirs is.
        temperature: the doctor's; None where runs of several are not to be told apart.

    Raises:
        KselectError: nothing there, nothing that can be read, no student of the task, or several of one agent and seed
            that differ.
    """
    place = Path(path)
    try:
        if place.is_dir():
            runs = sorted(run for run in place.iterdir() if not is_archived(run))
            files = [run / "results.json" for run in (place, *runs)]
            found = [_run(file, temperature) for file in files if file.is_file()]
        elif place.suffix == ".jsonl":
            found = [(line, None) for line in _lines(place)]
        else:
            found = [_run(place, temperature)]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise KselectError(
            f"outcomes {path} cannot be read ({error}): give a folder of runs, or a JSON file."
        ) from None
    scores = _gathered([(one, at) for one, at in found if isinstance(one, dict)], task)
    if not scores:
        raise KselectError(
            f"outcomes {path} has no scores of {task}: give a folder with runs of `kselect distill` on it, or a JSON "
            'file such as {"gold": [0.71, 0.73], "logits": [0.74, 0.75]}.'
        )
    return scores if temperature is None else _named_by(temperature, scores)


def _run(file: Path, temperature: float | None) -> tuple[Any, str | None]:
    """Return what a file says, and the temperature of its run, if it is another."""
    told, config = json.loads(file.read_text(encoding="utf-8")), file.with_name("config.yaml")
    if temperature is None or not config.is_file():
        return told, None
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    theirs = settings.get("temperature") if isinstance(settings, dict) else None
    if theirs is None:
        return told, None
    schedule = Schedule.parse(theirs, f"temperature in {config}")
    if schedule.start == schedule.end:
        return told, None if schedule.start == temperature else f"{schedule.start:g}"
    return told, f"{schedule.start:g}->{schedule.end:g}"


def _named_by(temperature: float, scores: Outcomes) -> Outcomes:
    """Give what is of the doctor's temperature, where there are others, a second name that says so."""
    named: dict[str, Scores | str] = {**scores}
    if any("@" in name for name in scores):
        for name, of_name in scores.items():
            if "@" not in name and name not in UNTEMPERED:
                named[at_temperature(name, temperature)] = of_name if isinstance(of_name, str) else name
    return named


def _gathered(results: Iterable[Told], task: str) -> Outcomes:
    scores: dict[str, dict[object, float]] = defaultdict(dict)
    same: dict[str, str] = {}

    def add(name: str, seed: object, score: Any) -> None:
        known, now = object() if seed is None else str(seed), float(score)
        if abs(now) > 1:
            raise KselectError(
                f"outcomes have {now:g} for {name}: give scores as shares, such as 0.71, not in percent."
            )
        if scores[name].setdefault(known, now) != now:
            raise KselectError(
                f"outcomes have {name} under seed {seed} twice, with scores {scores[name][known]:g} and {now:g}: give "
                f"runs that differ in agent and seed alone, those of other settings in folders of their own."
            )

    for one, at in results:
        if one.get("task", task) != task:
            continue
        if "rungs" in one:  # of a ladder: what is taught, each by seeds
            for name, rung in one["rungs"].items():
                called = _at(name, at)
                if rung.get("same_as") is not None:
                    same[called] = _at(rung["same_as"], at)
                for seed, metrics in rung["metrics"].items():
                    add(called, seed, metrics["score"])
        elif "agent" in one or "rung" in one:
            if "score" in one.get("metrics", {}):
                add(_at(str(one.get("agent", one.get("rung"))), at), one.get("seed"), one["metrics"]["score"])
        else:
            for name, values in (one.get("scores", {}) if "task" in one else one.get("scores", one)).items():
                if not (isinstance(values, list) and values and all(isinstance(one, int | float) for one in values)):
                    raise KselectError(
                        f"outcomes have {values!r} for {name}: give a list of scores, such as [0.71, 0.73]."
                    )
                for value in values:
                    add(name, None, value)
    return {
        name: same[name] if name in same and of_seeds == scores.get(same[name]) else _by_seed(of_seeds)
        for name, of_seeds in scores.items()
    }


def _at(name: str, temperature: str | None) -> str:
    return name if temperature is None or name in UNTEMPERED else at_temperature(name, temperature)


def _by_seed(scores: Mapping[object, float]) -> Scores:
    """Return scores by seed, as far as all seeds are known, and else as a list."""
    known = {seed: score for seed, score in scores.items() if isinstance(seed, str)}
    return known if len(known) == len(scores) else [*scores.values()]


def _lines(path: Path) -> list[Any]:
    """Read JSON lines; behind the last line break may stand one that another process is writing, which is no run."""
    *whole, last = path.read_bytes().split(b"\n")
    found = [json.loads(line) for line in whole if line.strip()]
    with suppress(ValueError):
        found.append(json.loads(last))
    return found
