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

LEVELS = {"low": -1.0, "mean": 0.0, "high": 1.0}
"""Values of a fact, in standard deviations from its mean over the runs that the policy was fitted to."""
NOTE = (
    "Low and high are a standard deviation below and above the mean over the runs that the policy was fitted to, with "
    "the value of the fact in parentheses; the other facts are at their means. Gaps of scores are in units of "
    f"{100 * GAP:.0f} points, label_ratio is the logarithm to base 10 of the student's labels for each text of the "
    "teacher, and words is 1 where words are labelled and 0 where whole texts are."
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
        chosen = [agent.choose(_with_fact(agent, fact, level)) for level in LEVELS.values()]
        values = [centre + level * scale for level in LEVELS.values()]
        rows.append([fact, *(f"{name} ({value:.2f})" for name, value in zip(chosen, values, strict=True))])
    return Section(title, ["fact", *LEVELS], rows, NOTE)


def _with_fact(agent: Chooser, fact: str, level: float) -> Observation:
    """Return a first observation with all facts known, one of them so many standard deviations from its mean."""
    observation = initial_observation(agent)
    context = observation["context"].astype(np.float64)
    context[list(agent.known.values())] = 1.0
    for i, (name, position) in enumerate(agent.facts.items()):
        context[position] = agent.centre[i] + level * agent.scale[i] * (name == fact)
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
