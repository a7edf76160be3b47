"""What a policy chooses that decides by facts of the run, once and for all of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np

from kselect.agents.agent import Observation
from kselect.agents.chooser import Chooser
from kselect.agents.portfolio import Portfolio
from kselect.analysis.inspection.observations import initial_observation
from kselect.analysis.inspection.report import Section
from kselect.config import TEXT_SOURCES
from kselect.distillation.facts.facts import GAP

LEVELS = ("low", "mean", "high")
"""A standard deviation below the mean over the runs that the policy was fitted to, the mean, and one above."""
YES_OR_NO = ("new_head", "regression", "words")
"""Facts that are 0, which counts as low, or 1, as high."""
NOTE = (
    "Low and high are a standard deviation below and above the mean over the runs that the policy was fitted to, or no "
    "and yes, with the value of the fact in parentheses; the other facts are at their means. label_ratio is the number "
    "of the student's labels for each text of the teacher, and words says whether words are labelled, not whole texts."
)


def sections_of_choices(agent: Chooser) -> Iterator[Section]:
    """Yield what is chosen as one fact differs, with and without further texts, and what is expected of each part."""
    for offer, names in _offers(agent.names or ()).items():
        asked = copy.copy(agent)
        asked.names = names
        if asked.possible():
            yield _choices(asked, f"What is chosen{offer}")
    if isinstance(agent, Portfolio):
        yield _expected(agent)


def _offers(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    kinds = tuple(name for name in names if name not in TEXT_SOURCES)
    return {"": names} if kinds == names else {" with further texts": names, " without further texts": kinds}


def _choices(agent: Chooser, title: str) -> Section:
    rows = []
    for fact, centre, scale in zip(agent.facts, agent.centre, agent.scale, strict=True):
        values = (0.0, centre, 1.0) if fact in YES_OR_NO else (centre - scale, centre, centre + scale)
        rows.append([fact, *(f"{agent.choose(_with_fact(agent, fact, v))} ({_shown(fact, v)})" for v in values)])
    return Section(title, ["fact", *LEVELS], rows, NOTE)


def _shown(fact: str, value: float) -> str:
    """Write the value of an entry of the context in the unit of its fact.

    >>> _shown("teacher_less_probe", 0.5), _shown("label_ratio", -1.0), _shown("words", 1.0), _shown("words", 0.3)
    ('+10 points', '0.1', 'yes', '30 %')
    """
    if fact.startswith("teacher_less_"):
        return f"{100 * GAP * value:+.0f} points"
    if fact == "label_ratio":
        return f"{10**value:.2g}"
    if fact in YES_OR_NO:
        return {0.0: "no", 1.0: "yes"}.get(value, f"{100 * value:.0f} %")
    return f"{value:.2f}"


def _with_fact(agent: Chooser, fact: str, value: float) -> Observation:
    """Return a first observation with all facts known and at their means, but for one."""
    observation = initial_observation(agent)
    context = observation["context"].astype(np.float64)
    context[list(agent.known.values())] = 1.0
    for centre, (name, position) in zip(agent.centre, agent.facts.items(), strict=True):
        context[position] = value if name == fact else centre
    return {**observation, "context": context}


def _expected(agent: Portfolio) -> Section:
    shape = len(agent.traits), 1 + len(agent.facts)
    means, errors = agent.mean.reshape(shape), np.sqrt(np.diag(agent.covariance)).reshape(shape)
    rows = [
        [trait, *(f"{mean:+.1f} ± {error:.1f}" for mean, error in zip(*row, strict=True))]
        for trait, *row in zip(agent.traits, means, errors, strict=True)
    ]
    note = (
        "In the unit that it was fitted in, such as points of a score, with all facts at their means, and in addition "
        "for each standard deviation of a fact. A selection is expected to gain what its traits differ by, times these."
    )
    return Section("Expected gain of each trait", ["trait", "at the means", *agent.facts], rows, note)
