"""A portfolio as a saved policy, and what it would have chosen on tasks that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from kselect.agents.chooser import Chooser
from kselect.agents.portfolio import Gain, Portfolio
from kselect.agents.stages import Stages, weights_any
from kselect.collection.fit import (
    Fitted,
    Trial,
    by_group,
    fit,
    inflation,
    ranked,
)
from kselect.collection.suite import Suite
from kselect.collection.traits import TRAITS, traits_of
from kselect.config import TEXT_SOURCES
from kselect.distillation.facts.facts import FACTS, INDICATORS
from kselect.envs.observation import CONTEXT, observation_space
from kselect.recipes.resolve import save_comparison

READ = ("label_ratio", "teacher_less_probe", "disagreement", "words")
"""The facts that gains depend on, by default: who has more labels, teacher or student, whether the teacher is ahead of
what the student's own teach, whether it agrees with them, and what is labelled."""
IN_DOUBT = ("all+texts>gold", "all")
"""The selections that are taken in doubt, the first that can be: everything on offer."""
CONFIDENCE = 0.7
"""How probably another selection must be better than the one in doubt to be taken, by default.

This, `READ` and `IN_DOUBT` were chosen by the reward split, on tasks that were left out.
"""


@dataclass(frozen=True)
class Choice:
    """What a portfolio that was fitted to the other tasks chooses in a condition under a seed.

    Attributes:
        group: the condition and the seed.
        task: name of the task.
        selection: what it chooses.
        default: what it chooses in doubt.
        gains: what its choice is expected to gain over every other selection.
        noise: standard deviation of a run's score, in points.
    """

    group: tuple[str, int]
    task: str
    selection: str
    default: str
    gains: Mapping[str, Gain]
    noise: float

    def interval(self, over: str, coverage: float = 0.9) -> tuple[float, float]:
        """Return what a run of the choice will gain over a run of another selection, with this probability."""
        return self.gains[over].interval(self.noise, coverage)


def choose_on_left_out_tasks(
    observed: Sequence[Trial],
    facts: Sequence[str] = READ,
    confidence: float = CONFIDENCE,
    fitted_to: Sequence[Trial] | None = None,
) -> list[Choice]:
    """Replay the choices of portfolios, each fitted to all tasks but one, on the groups of the task that it lacks.

    Args:
        observed: the trials of the groups that are chosen in.
        facts: what gains depend on.
        confidence: see `CONFIDENCE`.
        fitted_to: the trials that the portfolios are fitted to; by default the same.
    """
    known_runs = observed if fitted_to is None else fitted_to
    tasks = dict.fromkeys(trial.task for trial in observed)
    others = {task: [trial for trial in known_runs if trial.task != task] for task in tasks}
    fitted = {task: fit(runs, facts) for task, runs in others.items()}
    factors = {task: inflation(runs, facts) for task, runs in others.items()}
    found = []
    for group, members in by_group(observed).items():
        task, known = members[0].task, members[0].facts
        model, factor = fitted[task], factors[task]
        names = [trial.selection for trial in members]
        default = next(name for name in in_doubt_first(model.ranking) if name in names)
        expected = {
            (name, other): Gain(mean, factor * error)
            for name, other in permutations(names, 2)
            for mean, error in [model.gain(name, known, other)]
        }
        better = {name: gain for (name, other), gain in expected.items() if other == default}
        sure = {name: gain.mean for name, gain in better.items() if gain.probability > confidence}
        chosen = max(sure, key=lambda name: sure[name]) if sure else default
        gains = {other: gain for (name, other), gain in expected.items() if name == chosen}
        found.append(Choice(group, task, chosen, default, gains, model.noise))
    return found


def in_doubt_first(ranking: Sequence[str]) -> list[str]:
    """Return a ranking of selections, those of `IN_DOUBT` first."""
    first = [name for name in IN_DOUBT if name in ranking]
    return [*first, *(name for name in ranking if name not in first)]


def described(selections: Mapping[str, Stages]) -> dict[str, dict[str, Any]]:
    """Return selections as a `kselect.agents.chooser.Chooser` takes them."""
    return {
        name: {
            "stages": [dict(stage) for stage in stages],
            "traits": dict(zip(TRAITS, traits_of(stages), strict=True)),
            "requires": [source for source in TEXT_SOURCES if weights_any(stages, source)],
        }
        for name, stages in selections.items()
    }


def positions(facts: Sequence[str]) -> dict[str, int]:
    """Return where an observation's context has facts, by name."""
    return {name: len(CONTEXT) + FACTS.index(name) for name in facts}


def indicator_positions(facts: Sequence[str]) -> dict[str, int]:
    """Return where an observation's context says whether facts are defined, by name, of those that may not be."""
    return {name: len(CONTEXT) + FACTS.index(INDICATORS[name]) for name in facts if name in INDICATORS}


def make_portfolio(
    observed: Sequence[Trial], suite: Suite, facts: Sequence[str] = READ, confidence: float = CONFIDENCE
) -> Portfolio:
    """Fit a portfolio to all trials; its errors are those that it has on tasks that are left out."""
    selections = {name: suite.selections[name] for name in in_doubt_first(ranked(observed))}
    fitted = fit(observed, facts)
    names = (*(suite.knowledge.knowledge or ()), *TEXT_SOURCES)
    agent = Portfolio(
        observation_space(len(names), observe_facts=True),
        spaces.Box(0.0, 1.0, (len(names),), np.float32),
        selections=described(selections),
        facts=positions(facts),
        known=indicator_positions(facts),
        confidence=confidence,
    )
    agent.names = names
    set_coefficients(agent, fitted, inflation(observed, facts))
    return agent


def set_coefficients(agent: Portfolio, fitted: Fitted, factor: float = 1.0) -> None:
    """Give a portfolio what was fitted, with errors that are larger by a factor."""
    agent.mean, agent.covariance = fitted.mean, factor**2 * fitted.covariance
    agent.noise = np.array([fitted.noise])
    agent.centre, agent.scale = fitted.scaling.centre, fitted.scaling.scale


def save_policy(agent: Chooser, suite: Suite, folder: str | Path) -> None:
    """Save a fitted agent as a policy that `kselect distill --agent FOLDER` follows."""
    agent.save(folder)
    save_comparison(Path(folder), suite.knowledge)
