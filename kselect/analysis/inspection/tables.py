"""Sections about the selections of episodes: by quarter of a run, against `all` and chance, and by decision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kselect.analysis.inspection.charts import heat_map
from kselect.analysis.inspection.report import Section, p_value, share, signed_share
from kselect.analysis.inspection.selection import amounts, contrast, is_hard
from kselect.runs.history import EpisodeHistory
from kselect.runs.parts import QUARTERS, by_part
from kselect.training.decisions import CHANGE, main_reasons

Floats = NDArray[np.float64]
BY_QUARTER = ["quarter 1", "2", "3", "4"]
MOST = 500
"""Rows of changes, so that a page stays small."""


def quarters(episodes: Sequence[EpisodeHistory], draw: bool = True) -> Section:
    """Return how much of each kind was selected in each quarter of a run, as a mean over episodes.

    Args:
        episodes: Of one run.
        draw: Whether to draw heat maps of the first and the last of them.
    """
    values, count = amounts(episodes), len(episodes)
    title = f"Selection, {'share of the training steps' if is_hard(episodes) else 'mean weight'}"
    figures = [
        heat_map(episodes[i].names, episodes[i].steps, values[i], f"{title}, episode {i + 1} of {count}")
        for i in (sorted({0, count - 1}) if draw else ())
    ]
    note = f"A mean over {count} episodes." if count > 1 else ""
    return Section(title, ["knowledge", *BY_QUARTER, "run"], _rows(values, episodes), note, figures)


def preferences(episodes: Sequence[EpisodeHistory]) -> Section | None:
    """Return what the agent preferred before it sampled or rounded; None where that is what it selected."""
    known = [episode for episode in episodes if episode.preferences is not None]
    values = [np.asarray(episode.preferences) for episode in known]
    differs = any(
        not np.allclose(each, (each > 0) if is_hard([episode]) else episode.weights, atol=1e-4)
        for each, episode in zip(values, known, strict=True)
    )
    if not differs:
        return None
    note = (
        "What the agent preferred at each phase, before a sample, noise or a threshold made it a selection; where it "
        "learned in this run, by its policy at the time rather than the one that it ended with."
    )
    figure = heat_map(known[-1].names, known[-1].steps, values[-1], "Preference in the last episode")
    return Section("Preference of the agent", ["knowledge", *BY_QUARTER, "run"], _rows(values, known), note, [figure])


def differences(episodes: Sequence[EpisodeHistory]) -> list[Section]:
    """Return how the selections differ from `all` and from chance, and the tests of it."""
    found = contrast(episodes)
    rows = [
        [
            kind.name,
            share(kind.amount),
            signed_share(kind.amount - kind.of_all),
            signed_share(kind.amount - kind.of_chance),
            p_value(kind.p_chance),
        ]
        for kind in found.kinds
    ]
    what = "selected in" if is_hard(episodes) else "mean weight"
    note = (
        f"Differences in points. Chance selects as many kinds at each phase, and which of them at random; p is of no "
        f"difference from it, adjusted by Holm's method. {found.unequal} of {found.phases} phases differ from all."
    )
    tests = [
        ["kinds have equal weights in the mean, as in all", p_value(found.p_all)],
        ["which kinds are selected is chance", p_value(found.p_chance)],
        ["selections do not depend on the time within a run", p_value(found.p_timing)],
    ]
    method = f"Permutation tests over {found.phases} phases, taken as independent."
    columns = ["knowledge", what, "less all", "less chance", "p"]
    return [
        Section("Difference from all and from chance", columns, rows, note),
        Section("Tests of the whole selection", ["hypothesis", "p"], tests, method),
    ]


def changes(episode: EpisodeHistory) -> Section:
    """Return the decisions of an episode that took up or dropped a kind, or changed its weight, and why."""
    (values,) = amounts([episode])
    starts = episode.ends - episode.steps
    rows = [
        [f"{starts[phase]}", _change(name, *values[phase - 1 : phase + 1, i]), *_why(episode, phase, i)]
        for phase in range(1, len(values))
        for i, name in enumerate(episode.names)
        if abs(values[phase, i] - values[phase - 1, i]) >= CHANGE
    ]
    shown = [0, 1, *(column for column in (2, 3) if any(row[column] for row in rows))]
    columns = ["step", "change", "preference", "contributions"]
    note = "" if rows else "The selection never changed."
    if 3 in shown:
        note = (
            "Contributions are what the largest features of the state add to the log-odds of the kind, compared with "
            "the first decision (integrated gradients); chance is a sample that went against the preference."
        )
    if len(rows) > MOST:
        note += f" The first {MOST} of {len(rows)} changes."
    title = "Decisions that changed the selection"
    cells = [[row[i] for i in shown] for row in rows[:MOST]]
    return Section(title, [columns[i] for i in shown], cells, note.strip())


def _change(name: str, before: float, after: float) -> str:
    """Say what became of a kind.

    >>> _change("attention", 1.0, 0.0)
    'attention dropped'
    """
    if after == 0:
        return f"{name} dropped"
    if before == 0:
        return f"{name} taken up"
    return f"{name} {'raised' if after > before else 'lowered'}"


def _why(episode: EpisodeHistory, phase: int, kind: int) -> tuple[str, str]:
    """Return how the preference for a kind changed, and why it was taken up or dropped, as far as either is known."""
    features = episode.reasons[phase].get(episode.names[kind], {}) if episode.reasons else {}
    reasons = ", ".join(main_reasons(features))
    if episode.preferences is None:
        return "", reasons
    before, after = episode.preferences[phase - 1 : phase + 1, kind]
    leaning = f"{before:.2f} to {after:.2f}"
    against = is_hard([episode]) and (episode.weights[phase, kind] > 0) != (after > 0.5)
    return leaning, "chance" if against else reasons


def _rows(values: Sequence[Floats], episodes: Sequence[EpisodeHistory]) -> list[list[str]]:
    """Return the mean of values of each phase `[p, k]` in each quarter and in the whole run, a row for each kind."""
    means = [
        np.mean([by_part(each, one.steps, parts) for each, one in zip(values, episodes, strict=True)], axis=0)
        for parts in (QUARTERS, 1)
    ]
    rows = zip(episodes[0].names, np.concatenate(means, axis=1), strict=True)
    return [[name, *map(share, row)] for name, row in rows]
