"""The agents by name. Importing this is quick: torch comes in only with an agent that learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.agents.stages import Stages, check_mapping, check_stages, row_stages, stage_knowledge
from kselect.agents.validation import check_names, setting_names
from kselect.errors import KselectError, unknown

if TYPE_CHECKING:
    from gymnasium import spaces

    from kselect.agents.agent import Agent

LEARNERS = {
    "actor-critic": "learns which knowledge to take or leave at each phase (hard selections)",
    "deterministic-actor-critic": "learns a weight in [0, 1] for each knowledge (soft; Wang et al. 2022)",
    "paper": "the same from [CLS] alone, through towers as in the paper; serves its own models and knowledge only",
}
"""The agents that learn a policy, with a line that says how."""

ONLINE = {"online": "actor-critic", "online-soft": "deterministic-actor-critic"}
"""Learners that begin afresh and learn while they distil, by the names of the agents that they are."""

AGENTS = {
    **LEARNERS,
    "fixed": "the weights you give, as in weights: {gold: 1, logits: 1}, all along",
    "schedule": "the stages you give: weights up to a share of the run, then others",
    "random-hard": "a random selection at each phase, never none",
    "random-soft": "random weights in [0, 1] at each phase",
}
"""Every agent's name, with a line that says what it does."""

CLASSES = {
    "ActorCritic": "kselect.agents.actor_critic",
    "DeterministicActorCritic": "kselect.agents.ddpg",
    "TowerActorCritic": "kselect.agents.ddpg",
    "RandomHard": "kselect.agents.random",
    "RandomSoft": "kselect.agents.random",
    "Schedule": "kselect.agents.schedule",
}
"""Where each class of agents is found."""

_CLASS_OF = {
    "actor-critic": "ActorCritic",
    "deterministic-actor-critic": "DeterministicActorCritic",
    "paper": "TowerActorCritic",
    "fixed": "Schedule",
    "schedule": "Schedule",
    "random-hard": "RandomHard",
    "random-soft": "RandomSoft",
}


def agent_class(name: str) -> type[Agent]:
    """Return the class of the agent called `name`; its attributes tell what it reads, learns and gives."""
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)
    return find_class(_CLASS_OF[name])


def wants_soft(name: str) -> bool | None:
    """Tell whether an agent needs soft actions (True), hard ones (False), or can give either (None)."""
    actions = agent_class(name).actions
    return actions == ("soft",) if len(actions) == 1 else None


def knowledge_of(name: str, settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the kinds of knowledge that an agent weighs by name; None for whatever is on offer.

    Raises:
        KselectError: an unknown agent, or settings that name no weights.
    """
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)
    return stage_knowledge(_stages(name, settings)) if _CLASS_OF[name] == "Schedule" else None


def check_offer(name: str, settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse knowledge on offer (`names`) that lacks what weights and stages name.

    Raises:
        KselectError: in one line.
    """
    for knowledge in knowledge_of(name, settings) or ():
        if knowledge not in names:
            raise unknown("knowledge", knowledge, names)


def make_agent(
    name: str,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    names: Sequence[str],
    seed: int = 0,
    **settings: Any,
) -> Agent:
    """Make an agent by its name for the knowledge `names`, one a row and in the order of the rows.

    Raises KselectError, one line each, for an unknown agent or setting, a setting outside its range, knowledge
    that is not on offer, and a kind of action that the agent cannot give.
    """
    found = agent_class(name)
    if _CLASS_OF[name] == "Schedule":
        check_offer(name, settings, names)
        settings = {"stages": row_stages(_stages(name, settings), names)}
    else:
        check_names(name, settings, tuple(known for known in setting_names(found) if known != "seed"))
    agent = found(observation_space, action_space, seed=seed, **settings)
    agent.names = tuple(names)
    return agent


def load_agent(
    folder: str | Path,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    names: Sequence[str] | None = None,
) -> Agent:
    """Load whichever agent was saved to a folder; see `Agent.load`."""
    from kselect.agents.serialization import read_description

    name = read_description(Path(folder))["class"]
    return find_class(name).load(folder, observation_space, action_space, names)


def find_class(name: str) -> type[Agent]:
    """Return a class of agents by name: one of ours, or any subclass of Agent that has been imported."""
    if name in CLASSES:
        found: type[Agent] = getattr(import_module(CLASSES[name]), name)
        return found
    others = {other.__name__: other for other in _subclasses(import_module("kselect.agents.agent").Agent)}
    if name not in others:
        raise unknown("class of agents", name, CLASSES)
    return others[name]


def _subclasses(parent: type[Agent]) -> list[type[Agent]]:
    return [found for child in parent.__subclasses__() for found in (child, *_subclasses(child))]


def _stages(agent: str, settings: Mapping[str, Any]) -> Stages:
    """Return the stages of an agent that goes by the clock, weights by knowledge."""
    check_names(agent, dict(settings), {"fixed": ("weights",), "schedule": ("stages",)}[agent])
    if agent == "fixed":
        if "weights" not in settings:
            example = """--agent_settings '{"weights": {"gold": 1}}'"""
            raise KselectError(f"Agent 'fixed' needs weights by knowledge: give {example}, with yours.")
        check_mapping(agent, "weights", settings.get("weights"))
        return [dict(settings)]
    return check_stages(agent, settings.get("stages"))
