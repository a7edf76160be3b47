"""What the agents of a comparison selected, over their seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.inspection.charts import heat_map
from kselect.analysis.inspection.report import Report, Section
from kselect.analysis.inspection.selection import amounts
from kselect.analysis.inspection.study_runs import Entry
from kselect.analysis.inspection.tables import BY_QUARTER
from kselect.runs.history import EpisodeHistory, read_episode
from kselect.runs.parts import QUARTERS, by_part
from kselect.runs.run_log import RUNS

Floats = NDArray[np.float64]


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
