"""Which features of an observation move an agent's log-odds, over all decisions or at those that changed something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kselect.agents.agent import ROWS, Agent, Observation
from kselect.agents.attributions import attribute
from kselect.agents.learner import Learner
from kselect.analysis.inspection.observations import context_features, recorded_observation, row_features, rows_of
from kselect.analysis.inspection.report import Section
from kselect.runs.history import EpisodeHistory

Floats = NDArray[np.float64]
TITLE = "Sensitivity of the log-odds"
OWN = (
    "Features of a row are those of the kind itself (own), or of all others together. Contributions are in the unit of "
    "log-odds, nats."
)


def sensitivity(agent: Agent, observations: Sequence[Observation], baseline: Observation) -> Section | None:
    """Return how much each feature moves the log-odds of each kind; None for an agent without such odds.

    Args:
        agent: The agent.
        observations: What it is asked about.
        baseline: What they are compared with, such as the first observation of a run.
    """
    if not isinstance(agent, Learner) or not observations:
        return None
    sizes = mean_contributions(agent, observations, baseline)
    note = (
        f"Mean absolute contribution (integrated gradients) over {len(observations)} decisions, compared with the "
        f"first. {OWN}"
    )
    return _section(sizes, rows_of(agent), note)


def sensitivity_of_run(episode: EpisodeHistory, agent: Agent | None) -> Section | None:
    """Return how much each feature moved the log-odds of each kind in an episode; None where it is not known.

    Args:
        episode: Its history.
        agent: Who decided; without it, what was recorded of decisions that changed the selection is shown.
    """
    if agent is not None and agent.observation_keys == ROWS and episode.states and all(episode.states):
        observations = [recorded_observation(agent, state, episode.names) for state in episode.states]
        return sensitivity(agent, observations[1:], observations[0])
    sizes: dict[str, Floats] = {}
    counts = np.zeros(len(episode.names))
    for reasons in episode.reasons:
        for kind, features in reasons.items():
            row = episode.names.index(kind) if kind in episode.names else None
            if row is None or not features:
                continue
            counts[row] += 1
            for name, value in _merged(features, kind).items():
                sizes.setdefault(name, np.zeros(len(episode.names)))[row] += abs(value)
    if not sizes:
        return None
    note = (
        "Mean absolute contribution (integrated gradients) at the decisions that changed a kind, compared with the "
        f"first decision. {OWN}"
    )
    return _section({name: total / np.maximum(counts, 1) for name, total in sizes.items()}, episode.names, note)


def mean_contributions(agent: Learner, observations: Sequence[Observation], baseline: Observation) -> dict[str, Floats]:
    """Return each feature's mean absolute contribution to the log-odds of each kind, `[k]`, by its name."""
    sizes: dict[str, Floats] = {}
    for observation in observations:
        for name, values in by_feature(attribute(agent, observation, baseline)).items():
            sizes[name] = sizes.get(name, np.zeros(agent.rows)) + np.abs(values) / len(observations)
    return sizes


def by_feature(contributions: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Return contributions to each kind's log-odds by the name of a feature, `[k]` each.

    A feature of a kind's own row counts apart from the same feature of the other rows, which are added up.

    Args:
        contributions: What `kselect.agents.attributions.attribute` returns.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for key, values in contributions.items():
        if key == "context":
            found |= {name: values[:, i] for i, name in enumerate(context_features(values.shape[1]))}
        elif key == "knowledge":
            own = np.diagonal(values).T  # [k, f]
            for side, entries in (("own", own), ("others'", values.sum(1) - own)):
                for i, name in enumerate(row_features(values.shape[2])):
                    found[f"{side} {name}"] = found.get(f"{side} {name}", np.float32(0)) + entries[:, i]
        else:
            found[key] = values.sum(1)
    return found


def _merged(features: Mapping[str, float], kind: str) -> dict[str, float]:
    """Return recorded contributions, of which those of rows have the kind in their name, as `by_feature` does."""
    found: dict[str, float] = {}
    for name, value in features.items():
        feature, _, row = name.partition("/")
        merged = name if not row else f"own {feature}" if row == kind else f"others' {feature}"
        found[merged] = found.get(merged, 0.0) + value
    return found


def _section(sizes: Mapping[str, Floats], kinds: Sequence[str], note: str) -> Section:
    order = sorted((name for name in sizes if sizes[name].any()), key=lambda name: -sizes[name].mean())
    rows = [[name, *(f"{value:.3f}" for value in sizes[name])] for name in order]
    if not rows:
        note = "The log-odds are the same at every decision: the agent reacts to nothing."
    return Section(TITLE, ["feature", *kinds], rows, note)
