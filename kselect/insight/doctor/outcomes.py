"""Scores of finished students, as they lie on disk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kselect.errors import UserError
from kselect.insight.doctor.judging import Outcomes
from kselect.study.unfinished import is_set_aside


def read_outcomes(path: str | Path, task: str) -> Outcomes:
    """Read the scores of students of `task`, by agent or knowledge, each seed once.

    Args:
        path: a folder of runs, those set aside left out, or of one run of `distill` or `explain`; a file of JSON lines,
            each with what a results.json says; or a JSON file of lists of scores by name, by itself or under "scores".
        task: only students of it are read, where the runs say what theirs is.

    Raises:
        UserError: nothing there, nothing that can be read, no student of the task, or several of one agent and seed
            that differ.
    """
    place = Path(path)
    try:
        if place.is_dir():
            runs = sorted(run for run in place.iterdir() if not is_set_aside(run))
            files = [run / "results.json" for run in (place, *runs)]
            found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        elif place.suffix == ".jsonl":
            found = _lines(place)
        else:
            found = [json.loads(place.read_text(encoding="utf-8"))]
    except (OSError, ValueError) as error:
        raise UserError(f"outcomes {path} cannot be read ({error}): give a folder of runs, or a JSON file.") from None
    scores = _gathered((one for one in found if isinstance(one, dict)), task)
    if not scores:
        raise UserError(
            f"outcomes {path} has no scores of {task}: give a folder with runs of `kselect distill` on it, or a JSON "
            'file such as {"gold": [0.71, 0.73], "logits": [0.74, 0.75]}.'
        )
    return scores


def _gathered(results: Iterable[Mapping[str, Any]], task: str) -> dict[str, list[float]]:
    scores: dict[str, dict[object, float]] = defaultdict(dict)

    def add(name: str, seed: object, score: Any) -> None:
        known, now = object() if seed is None else str(seed), float(score)
        if scores[name].setdefault(known, now) != now:
            raise UserError(
                f"outcomes have {name} under seed {seed} twice, with scores {scores[name][known]:g} and {now:g}: give "
                f"runs that differ in agent and seed alone, those of other settings in folders of their own."
            )

    for one in results:
        if one.get("task", task) != task:
            continue
        if "rungs" in one:  # of a ladder: what is taught, each by seeds
            for name, rung in one["rungs"].items():
                for seed, metrics in rung["metrics"].items():
                    add(name, seed, metrics["score"])
        elif "agent" in one or "rung" in one:
            if "score" in one.get("metrics", {}):
                add(str(one.get("agent", one.get("rung"))), one.get("seed"), one["metrics"]["score"])
        else:
            for name, values in (one.get("scores", {}) if "task" in one else one.get("scores", one)).items():
                if isinstance(values, list) and values and all(isinstance(value, int | float) for value in values):
                    for value in values:
                        add(name, None, value)
    return {name: list(of_seeds.values()) for name, of_seeds in scores.items()}


def _lines(path: Path) -> list[Any]:
    """Read JSON lines; behind the last line break may stand one that another process is writing, which is no run."""
    *whole, last = path.read_bytes().split(b"\n")
    found = [json.loads(line) for line in whole if line.strip()]
    with suppress(ValueError):
        found.append(json.loads(last))
    return found
