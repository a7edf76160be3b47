"""An actor-critic of a pool as a saved policy, and what it would have chosen on tasks that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium import spaces

from kselect.agents.offline_actor_critic import OfflineActorCritic
from kselect.agents.stages import Stages, selected_during
from kselect.collection.fit import Trial, by_group
from kselect.collection.fit_actor_critic import fit_actor_critic
from kselect.collection.policy import READ, described, indicator_positions, positions
from kselect.collection.suite import Suite
from kselect.collection.traits import HALF
from kselect.config import TEXT_SOURCES
from kselect.envs.observation import observation_space


def combinations(selections: Mapping[str, Stages]) -> dict[str, Stages]:
    """Return selections, and further ones of what some of them select in the first half and others in the second.

    Selections that change within a half, or whose weights move, are not taken apart.

    >>> sorted(combinations({"a": [{"weights": {"gold": 1}}], "b": [{"weights": {"logits": 1}}]}))
    ['a', 'a>b', 'b', 'b>a']
    """
    halves = {}
    for name, stages in selections.items():
        if not any(stage.get("to") for stage in stages) and [stage.get("until", 1.0) for stage in stages] in (
            [1.0],
            [HALF, 1.0],
        ):
            halves[name] = stages[0]["weights"], stages[-1]["weights"]
    found, seen = dict(selections), {selected_during(stages) for stages in selections.values()}
    for first, (before, _) in halves.items():
        for second, (_, after) in halves.items():
            stages = [{"until": HALF, "weights": before}, {"weights": after}]
            if selected_during(stages) not in seen:
                seen.add(selected_during(stages))
                found[f"{first}>{second}"] = stages
    return found


def choose_by_actor_critic(
    observed: Sequence[Trial],
    facts: Sequence[str] = READ,
    *,
    pessimism: float = 1.0,
    seed: int = 0,
) -> dict[tuple[str, int], str]:
    """Return what actor-critics, each fitted to all tasks but one, choose on the groups of the task that it lacks.

    They choose among the selections that were run in the group, whose scores are known.
    """
    found = {}
    for task in dict.fromkeys(trial.task for trial in observed):
        others = [trial for trial in observed if trial.task != task]
        fitted = fit_actor_critic(others, facts, pessimism=pessimism, seed=seed)
        for group, members in by_group([trial for trial in observed if trial.task == task]).items():
            found[group] = fitted.choose(members)
    return found


def make_actor_critic(
    observed: Sequence[Trial],
    suite: Suite,
    facts: Sequence[str] = READ,
    *,
    combine: bool = False,
    pessimism: float = 1.0,
    seed: int = 0,
) -> OfflineActorCritic:
    """Fit an actor-critic to all trials.

    Args:
        observed: the trials.
        suite: their selections, and the kinds of knowledge on offer.
        facts: names of the facts that it reads.
        combine: whether it also chooses among halves of different selections, see `combinations`.
        pessimism: see `kselect.collection.fit_actor_critic.fit_actor_critic`.
        seed: likewise.
    """
    stages_of = combinations(suite.selections) if combine else suite.selections
    fitted = fit_actor_critic(observed, facts, pessimism=pessimism, seed=seed)
    names = (*(suite.knowledge.knowledge or ()), *TEXT_SOURCES)
    agent = OfflineActorCritic(
        observation_space(len(names), observe_facts=True),
        spaces.Box(0.0, 1.0, (len(names),), np.float32),
        selections=described(stages_of),
        facts=positions(facts),
        known=indicator_positions(facts),
        critics=len(fitted.critic),
    )
    agent.names = names
    agent.actor, agent.critic = fitted.actor, fitted.critic
    agent.centre, agent.scale = fitted.scaling.centre, fitted.scaling.scale
    return agent
