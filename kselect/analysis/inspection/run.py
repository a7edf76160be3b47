"""What a run selected, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kselect.agents.agent import Agent
from kselect.analysis.inspection.charts import SERIES, bar_chart, line_chart
from kselect.analysis.inspection.report import Report, Section, number, share
from kselect.analysis.inspection.selection import amounts
from kselect.analysis.inspection.sensitivity import sensitivity_of_run
from kselect.analysis.inspection.tables import changes, differences, preferences, quarters
from kselect.runs.history import EpisodeHistory, RunHistory
from kselect.runs.parts import by_part


def report_of_run(run: RunHistory, settings: Mapping[str, Any], agent: Agent | None = None) -> Report:
    """Return the report of a run.

    Args:
        run: Its history.
        settings: Content of its config.yaml.
        agent: The policy that decided in it or, if it learned a policy, that one; None where there is none.
    """
    sections = [section for section in _sections(run, agent) if section]
    return Report(f"{run.path.name}: {_describe(run, settings)}", sections)


def _describe(run: RunHistory, settings: Mapping[str, Any]) -> str:
    agent, task, seed = (run.results.get(name, settings.get(name, "?")) for name in ("agent", "task", "seed"))
    steps = sum(int(episode.steps.sum()) for episode in run.episodes)
    count = len(run.episodes)
    extent = f"{steps} training steps" if count == 1 else f"{count} episodes, {steps} training steps"
    unfinished = "" if run.results else ", not finished: quarters are those of the steps so far"
    return f"{agent} on {task}, seed {seed}, {extent}{unfinished}"


def _sections(run: RunHistory, agent: Agent | None) -> Iterator[Section | None]:
    if "teacher_metrics" in run.results:
        yield scores(run.results)
    yield quarters(run.episodes)
    yield preferences(run.episodes)
    choice = run.results.get("choice")
    if choice is None:
        yield from differences(run.episodes)
    else:  # made once, so that phases are no sample that could be tested
        yield Section("Choice", ["selection", "why"], [[choice["selection"], choice.get("line", "")]])
    if len(run.episodes) > 1:
        yield returns(run.episodes)
    yield progress(run.episodes)
    yield changes(run.episodes[-1])
    yield sensitivity_of_run(run.episodes[-1], agent)


def scores(results: Mapping[str, Any]) -> Section:
    """Return score and loss of the student, its teachers and the constant prediction on dev."""
    teachers = results["teacher_metrics"]
    names = ["teacher"] if len(teachers) == 1 else [f"teacher {i}" for i in range(1, len(teachers) + 1)]
    models = {"student": results["metrics"], **dict(zip(names, teachers, strict=True))}
    models["constant prediction"] = results.get("constant", {})
    rows = [[name, number(each.get("score")), number(each.get("loss"))] for name, each in models.items()]
    drawn = {
        f"{what} on dev": {name: each[what] for name, each in models.items() if each.get(what) is not None}
        for what in ("score", "loss")
    }
    figures = [bar_chart(values, title) for title, values in drawn.items() if values]
    return Section("Score and loss on dev", ["model", "score", "loss"], rows, "", figures)


def returns(episodes: Sequence[EpisodeHistory]) -> Section | None:
    """Return the whole reward of each episode, and what it selected; None where no reward was measured."""
    found = [episode.total_reward for episode in episodes]
    if all(value is None for value in found):
        return None
    rows = []
    by_task: dict[str, list[tuple[int, float]]] = {}
    for i, (episode, selected, value) in enumerate(zip(episodes, amounts(episodes), found, strict=True), 1):
        shares = by_part(selected, episode.steps, 1)[:, 0]
        rows.append([str(i), episode.task or "", number(value), *map(share, shares)])
        by_task.setdefault(episode.task or "episode", []).append((i, np.nan if value is None else value))
    lines = {task: (np.array(points)[:, 0], np.array(points)[:, 1]) for task, points in by_task.items()}
    columns = ["episode", "task", f"return, {episodes[0].unit or 'nats'}", *episodes[0].names]
    note = "The return is the sum of an episode's rewards: what the student gained on the reward split."
    return Section("Return by episode", columns, rows, note, [line_chart(lines, "Return by episode", "episode")])


def progress(episodes: Sequence[EpisodeHistory]) -> Section | None:
    """Return the loss on the reward split over the steps of each episode; None where it was not measured."""
    numbers = np.unique(np.linspace(1, len(episodes), SERIES).round().astype(int))  # no more than there are colours
    shown = [(int(number), episodes[number - 1]) for number in numbers]
    lines = {
        f"episode {i}" if len(episodes) > 1 else "loss": (episode.ends, episode.losses)
        for i, episode in shown
        if np.isfinite(episode.losses).any()
    }
    if not lines:
        return None
    ends = [[name, number(float(losses[np.isfinite(losses)][-1]))] for name, (_, losses) in lines.items()]
    figure = line_chart(lines, "Loss on the reward split", "training step")
    return Section("Loss on the reward split", ["", "at the end"], ends, "", [figure])
