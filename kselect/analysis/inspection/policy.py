"""What a saved policy prefers, and what its preferences react to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.agents.chooser import Chooser
from kselect.analysis.inspection.charts import heat_map
from kselect.analysis.inspection.choices import sections_of_choices
from kselect.analysis.inspection.observations import (
    PROGRESS,
    at_progress,
    initial_observation,
    mean_observation,
    remembered,
    rows_of,
)
from kselect.analysis.inspection.report import Report, Section
from kselect.analysis.inspection.sensitivity import sensitivity

Floats = NDArray[np.float64]
POINTS = (0.0, 0.25, 0.5, 0.75)


def report_of_policy(folder: Path, agent: Agent) -> Report:
    """Return the report of a policy on its own."""
    title = f"{folder.name}: a policy of {type(agent).__name__}, {agent.kind} selections"
    return Report(title, [section for section in _sections(agent) if section])


def _sections(agent: Agent) -> Iterator[Section | None]:
    if isinstance(agent, Chooser):
        yield from sections_of_choices(agent)
        return
    start, known = initial_observation(agent), remembered(agent)
    if "context" in agent.observation_keys:
        later = [at_progress(start, point) for point in POINTS]
        note = (
            "Everything else is as before the first training step. These are preferences after all learning; the run "
            "in which it learned shows those on the way."
        )
        columns = ["at the start", *(f"at {100 * point:.0f} %" for point in POINTS[1:])]
        yield _preferences(agent, "Preference as a run goes on", columns, later, note)
    else:
        later = []
    yield remembered_preferences(agent, known)
    yield sensitivity(agent, known[1:] or later[1:], known[0] if known else start)


def remembered_preferences(agent: Agent, known: Sequence[Observation]) -> Section | None:
    """Return the mean preferences at remembered decisions by quarter; None where the agent remembers none."""
    if not known or "context" not in known[0]:
        return None
    quarters = [min(int(4 * each["context"][PROGRESS]), 3) for each in known]
    filled = sorted(set(quarters))
    means = [mean_observation([each for each, q in zip(known, quarters, strict=True) if q == part]) for part in filled]
    note = f"At the mean of what the agent saw in each quarter, of the latest {len(known)} decisions that it remembers."
    columns = [f"quarter {part + 1}" for part in filled]
    return _preferences(agent, "Preference at what it saw in training", columns, means, note)


def preference(agent: Agent, observation: Observation) -> Floats:
    """Return the preference of an agent at an observation or, where it has none, its selection, `[k]`."""
    agent.begin()
    action = agent.act(observation)
    return np.asarray(action if agent.preference is None else agent.preference, dtype=np.float64)


def _preferences(
    agent: Agent, title: str, columns: Sequence[str], observations: Sequence[Observation], note: str
) -> Section:
    values = np.stack([preference(agent, each) for each in observations])
    rows = [[name, *(f"{value:.2f}" for value in values[:, i])] for i, name in enumerate(rows_of(agent))]
    figure = heat_map(rows_of(agent), np.ones(len(values)), values, title)
    return Section(title, ["knowledge", *columns], rows, note, [figure])
