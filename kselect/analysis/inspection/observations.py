"""The observations that an agent is asked about, and what its features are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kselect.agents.agent import Agent, Observation
from kselect.agents.learner import Learner
from kselect.config import TEXT_SOURCES
from kselect.distillation.facts.facts import FACTS, KIND_FACTS
from kselect.envs.observation import CODE_SIZE, CONTEXT, FEATURES, name_code

PROGRESS = CONTEXT.index("progress")
CODE = "code"
"""What all entries of a name's code are called; they are the same throughout a run."""


def rows_of(agent: Agent) -> tuple[str, ...]:
    """Return the kinds of knowledge that an agent weighs, numbered where it does not know their names."""
    return agent.names or tuple(f"kind {i}" for i in range(1, agent.rows + 1))


def context_features(size: int) -> list[str]:
    """Return the names of a context's entries; in another environment's, only the first is known."""
    names = (*CONTEXT, *FACTS)
    if size in (len(CONTEXT), len(names)):
        return list(names[:size])
    return ["progress", *(f"context {i}" for i in range(2, size + 1))]


def row_features(size: int) -> list[str]:
    """Return the names of the entries of a knowledge row; those of another environment are numbered."""
    names = (*FEATURES, *[CODE] * CODE_SIZE, *KIND_FACTS)
    if size in (len(names) - len(KIND_FACTS), len(names)):
        return list(names[:size])
    return [f"feature {i}" for i in range(1, size + 1)]


def initial_observation(agent: Agent) -> Observation:
    """Return what an environment shows before the first training step: losses as they start, and no signals yet.

    Entries that differ between runs from the start, such as facts, are 0.
    """
    known = {"learning_rate": 1.0, "reward_loss": 1.0}
    context = np.array([known.get(name, 0.0) for name in context_features(agent.context_size)], dtype=np.float32)
    knowledge = np.zeros((agent.rows, agent.features), dtype=np.float32)
    features = row_features(agent.features)
    if CODE in features:
        code = features.index(CODE)
        for row, name in enumerate(agent.names or ()):
            knowledge[row, features.index("relative_loss")] = name not in TEXT_SOURCES
            knowledge[row, code : code + CODE_SIZE] = name_code(name)
    further = {key: np.zeros(shape, dtype=np.float32) for key, shape in agent.shapes.items()}
    return {**further, "context": context, "knowledge": knowledge}


def at_progress(observation: Observation, progress: float) -> Observation:
    """Return an observation as it were later in a run, if nothing but the time changed."""
    return _with_state(observation, {"progress": progress, "learning_rate": 1.0 - progress}, ())


def recorded_observation(agent: Agent, state: Mapping[str, float], names: Sequence[str]) -> Observation:
    """Return an observation from its recorded features by name; what is not recorded is as the agent remembers it.

    Args:
        agent: Whose observation it is.
        state: Such as `progress`, and `slope/gold` for an entry of a row.
        names: Of the rows.
    """
    known = remembered(agent)
    return _with_state(known[0] if known else initial_observation(agent), state, names)


def remembered(agent: Agent) -> list[Observation]:
    """Return the observations of the decisions that an agent has in its memory; none where it keeps none."""
    if not isinstance(agent, Learner) or not len(agent.decisions):
        return []
    fields = agent.decisions.read_by_stream()
    return [{key: fields[key][i] for key in agent.observation_keys} for i in range(len(agent.decisions))]


def mean_observation(observations: Sequence[Observation]) -> Observation:
    """Return the mean of observations."""
    return {key: np.mean([each[key] for each in observations], axis=0) for key in observations[0]}


def _with_state(observation: Observation, state: Mapping[str, float], names: Sequence[str]) -> Observation:
    """Return an observation whose named features are those of `state`, as far as it has them."""
    context, knowledge = observation["context"].copy(), observation["knowledge"].copy()
    for i, feature in enumerate(context_features(len(context))):
        context[i] = state.get(feature, context[i])
    for row, name in enumerate(names):
        for i, feature in enumerate(row_features(knowledge.shape[1])):
            knowledge[row, i] = state.get(f"{feature}/{name}", knowledge[row, i])
    return {**observation, "context": context, "knowledge": knowledge}
