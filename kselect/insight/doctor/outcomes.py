"""Scores of finished students, as they lie on disk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kselect.errors import UserError
from kselect.insight.doctor.judging import Outcomes


def read_outcomes(path: str | Path, task: str) -> Outcomes:
    """Read the scores of students of `task`, by agent or knowledge.

    Args:
        path: a folder of runs, or of one run of `distill` or `explain`; a file of JSON lines, each with what a
            results.json says; or a JSON file of lists of scores by name, by itself or under "scores".
        task: only students of it are read, where the runs say what theirs is.

    Raises:
        UserError: nothing there, nothing that can be read, or no student of the task.
    """
    place = Path(path)
    try:
        if place.is_dir():
            files = [place / "results.json", *sorted(place.glob("*/results.json"))]
            found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        elif place.suffix == ".jsonl":
            found = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
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
    scores: dict[str, list[float]] = defaultdict(list)
    for one in results:
        if one.get("task", task) != task:
            continue
        if "rungs" in one:  # of a ladder: what is taught, each by seeds
            for name, rung in one["rungs"].items():
                scores[name] += [float(metrics["score"]) for metrics in rung["metrics"].values()]
        elif "agent" in one or "rung" in one:
            if "score" in one.get("metrics", {}):
                name = Path(str(one.get("agent", one.get("rung")))).name
                scores[name].append(float(one["metrics"]["score"]))
        else:
            for name, values in (one.get("scores", {}) if "task" in one else one.get("scores", one)).items():
                if isinstance(values, list) and values and all(isinstance(value, int | float) for value in values):
                    scores[name] += map(float, values)
    return dict(scores)
