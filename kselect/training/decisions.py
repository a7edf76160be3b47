"""What an agent saw and expected at a decision, and why it changed its mind, as part of the record of a phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.agents.agent import ROWS, Agent, Observation
from kselect.agents.attributions import attribute
from kselect.agents.learner import Learner
from kselect.envs.observation import named_features

CHANGE = 0.1
"""The least difference between the weights of two decisions that counts as a change of the selection."""
SHOWN = 0.005
"""Contributions below this are 0.00 as they are shown."""


def describe_decision(
    agent: Agent,
    names: Sequence[str],
    observation: Observation,
    first: Observation,
    action: NDArray[Any],
    previous: NDArray[Any] | None,
) -> dict[str, Any]:
    """Return the facts of the decision that an agent has just made.

    Args:
        agent: Whose decision it is.
        names: Of the kinds of knowledge on offer.
        observation: What it decided by.
        first: What the first decision of the episode was made by.
        action: `[k]`, the decision.
        previous: `[k]`, the decision before it; None at the first one.

    Returns:
        `preference` by kind of knowledge, see `Agent.preference`, where the agent has any. For an agent that reads the
        state also `state`, the features that it reads (see `named_features`); `value`, see `Agent.value`, where it has
        one; and `changes`: for each kind of knowledge whose weight differs from the previous decision's, the weights
        `before` and `after` and, where the agent is a differentiable one that reads these features, what each of them
        contributes to the log-odds of the kind, compared with the first observation (`features`).
    """
    found: dict[str, Any] = {}
    if agent.preference is not None:
        found["preference"] = dict(zip(names, agent.preference.tolist(), strict=True))
    if not agent.reads_state:
        return found
    if set(ROWS) <= set(agent.observation_keys):
        found["state"] = named_features(observation, names)
    value = agent.value(observation)
    if value is not None:
        found["value"] = value
    changed = [] if previous is None else np.flatnonzero(np.abs(action - previous.astype(float)) >= CHANGE).tolist()
    if previous is None or not changed:
        return found
    changes: dict[str, dict[str, Any]] = {
        names[row]: {"before": float(previous[row]), "after": float(action[row])} for row in changed
    }
    if isinstance(agent, Learner) and agent.observation_keys == ROWS:
        contributions = attribute(agent, observation, first)
        for row in changed:
            of_row = {key: each[row] for key, each in contributions.items()}
            changes[names[row]] |= {"features": named_features(of_row, names)}
    return found | {"changes": changes}


def main_reasons(features: Mapping[str, float], count: int = 4) -> list[str]:
    """Name the largest contributions to a decision.

    >>> main_reasons({"progress": 0.5, "slope/gold": -0.7, "grad_norm": 0.001}, count=2)
    ['slope/gold -0.70', 'progress +0.50']
    """
    largest = sorted(features.items(), key=lambda item: -abs(item[1]))[:count]
    return [f"{name} {value:+.2f}" for name, value in largest if abs(value) >= SHOWN]


def advantage(agent: Agent, value: float, reward: float, following: Observation, terminated: bool) -> float:
    """Return what a decision gained over the value of its state: reward and value of the next state, less `value`."""
    later = 0.0 if terminated else agent.gamma * (agent.value(following) or 0.0)
    return reward + later - value
