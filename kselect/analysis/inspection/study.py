"""What the agents of a comparison selected, over their seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.inspection.charts import heat_map
from kselect.analysis.inspection.report import Report, Section
from kselect.analysis.inspection.selection import QUARTERS, amounts, by_part
from kselect.analysis.inspection.tables import BY_QUARTER
from kselect.config.comparison import TEACHER
from kselect.errors import KselectError
from kselect.runs.history import EpisodeHistory, read_episode
from kselect.runs.run_log import Ledger
from kselect.training.comparison import KEY, NUMBERS

Entry = Mapping[str, Any]
Floats = NDArray[np.float64]
RUNS = "runs.jsonl"


def read_study(path: Path) -> dict[str, dict[str, list[Entry]]]:
    """Return the finished runs of a comparison by task and agent, without the teachers'.

    Raises:
        KselectError: a ledger of other runs, none that finished, or a damaged one.
    """
    try:
        entries = list(Ledger(path / RUNS, KEY, NUMBERS).latest().values())
    except KselectError as error:
        if "lacks label" not in str(error):
            raise
        raise KselectError(f"{path} holds no comparison of agents: give the folder of one, or of a run.") from None
    runs: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        if "error" not in entry and entry["label"] != TEACHER:
            runs.setdefault(entry["task"], {}).setdefault(entry["label"], []).append(entry)
    if not runs:
        raise KselectError(f"{path} has no finished run yet: inspect it once one is.")
    return runs


def report_of_study(path: Path, runs: Mapping[str, Mapping[str, Sequence[Entry]]]) -> Report:
    """Return the report of a comparison: two tables for each task."""
    count = sum(len(entries) for agents in runs.values() for entries in agents.values())
    sections = [section for task, agents in runs.items() for section in _of_task(task, agents, path / RUNS)]
    return Report(f"{path.name}: {count} run{'s' * (count != 1)} of {', '.join(runs)}", sections)


def _of_task(task: str, agents: Mapping[str, Sequence[Entry]], source: Path) -> Iterator[Section]:
    histories = {
        label: [read_episode(entry.get("history") or [], source) for entry in entries]
        for label, entries in agents.items()
    }
    names = tuple(dict.fromkeys(name for episodes in histories.values() for name in episodes[0].names))
    summary, detail, figures = [], [], []
    for label, episodes in histories.items():
        own = episodes[0].names
        quarters, whole = _means(episodes, QUARTERS), _means(episodes, 1)
        scores = np.array([100 * entry["metrics"]["score"] for entry in agents[label]])
        shares = {name: _spread(100 * whole[:, i, 0]) for i, name in enumerate(own)}
        summary.append([label, _spread(scores, 1), f"{len(scores)}", *(shares.get(name, "") for name in names)])
        for i, name in enumerate(own):
            detail.append([label, name, *(_spread(100 * quarters[:, i, part]) for part in range(QUARTERS))])
        figures.append(heat_map(own, np.ones(QUARTERS), quarters.mean(0).T, f"Selection of {label} on {task}"))
    note = (
        "Score in points; shares of the training steps or, where selections are soft, mean weights, in percent. Mean ± "
        "standard deviation over the seeds."
    )
    yield Section(f"{task}: selection of each agent", ["agent", "score", "seeds", *names], summary, note)
    yield Section(f"{task}: selection by quarter of the run", ["agent", "knowledge", *BY_QUARTER], detail, "", figures)


def _means(episodes: Sequence[EpisodeHistory], parts: int) -> Floats:
    """Return means over equal parts of each run, `[runs, k, parts]`."""
    return np.stack([by_part(each, one.steps, parts) for each, one in zip(amounts(episodes), episodes, strict=True)])


def _spread(values: Floats, digits: int = 0) -> str:
    mean = f"{values.mean():.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std(ddof=1):.{digits}f}"
