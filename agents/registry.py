"""The agents by name. Importing this is quick: torch comes in only with an agent that learns."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.settings import SHARE, check_names, check_range, setting_names
from agents.storage import read_description
from kselect.errors import UserError, unknown

if TYPE_CHECKING:
    from gymnasium import spaces

    from agents.agent import Agent

AGENTS = {
    "actor-critic": "learns which knowledge to take or leave at each phase (hard selections)",
    "deterministic-actor-critic": "learns a weight in [0, 1] for each knowledge (soft; Wang et al. 2022)",
    "fixed": "the weights you give, as in weights: {gold: 1, logits: 1}, all along",
    "fine-tune": "gold labels only: no distillation",
    "vanilla-kd": "gold labels and the teacher's logits, equally",
    "all": "every knowledge on offer, equally",
    "random-hard": "a random selection at each phase, never none",
    "random-soft": "random weights in [0, 1] at each phase",
}
"""Every agent's name, with a line that says what it does."""

RECIPES = {"fine-tune": ("gold",), "vanilla-kd": ("gold", "logits")}
"""The knowledge that a fixed agent takes, by the agent's name; `all` takes what there is."""

CLASSES = {
    "ActorCritic": "agents.actor_critic",
    "DeterministicActorCritic": "agents.deterministic",
    "FixedWeights": "agents.baselines",
    "RandomHard": "agents.baselines",
    "RandomSoft": "agents.baselines",
}
"""Where each class of agents is found."""

_CLASS_OF = {
    "actor-critic": "ActorCritic",
    "deterministic-actor-critic": "DeterministicActorCritic",
    "random-hard": "RandomHard",
    "random-soft": "RandomSoft",
}
_NEEDS_SOFT = {
    "actor-critic": False,
    "random-hard": False,
    "deterministic-actor-critic": True,
    "random-soft": True,
}


def wants_soft(name: str) -> bool | None:
    """Tell whether an agent needs soft actions (True), hard ones (False), or can give either (None)."""
    _check_agent(name)
    return _NEEDS_SOFT.get(name)


def make_agent(
    name: str,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    names: Sequence[str],
    seed: int = 0,
    **settings: Any,
) -> Agent:
    """Make an agent by its name for the knowledge `names`, one a row and in the order of the rows.

    Raises UserError, one line each, for an unknown agent or setting, a setting outside its range, knowledge
    that a recipe needs and that is not on offer, and a kind of action that the agent cannot give.
    """
    _check_agent(name)
    if name in _CLASS_OF:
        agent_class = find_class(_CLASS_OF[name])
        check_names(name, settings, tuple(known for known in setting_names(agent_class) if known != "seed"))
    else:
        check_names(name, settings, ("weights",) if name == "fixed" else ())
        weights = settings.get("weights") if name == "fixed" else dict.fromkeys(RECIPES.get(name, names), 1)
        settings = {"weights": _row_weights(name, weights, names)}
        agent_class = find_class("FixedWeights")
    return agent_class(observation_space, action_space, seed=seed, **settings)


def load_agent(
    folder: str | Path,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
) -> Agent:
    """Load whichever agent was saved to a folder; see `Agent.load`."""
    name = read_description(Path(folder))["class"]
    return find_class(name).load(folder, observation_space, action_space)


def find_class(name: str) -> type[Agent]:
    """Return a class of agents by name: one of ours, or any subclass of Agent that has been imported."""
    if name in CLASSES:
        found: type[Agent] = getattr(import_module(CLASSES[name]), name)
        return found
    others = {other.__name__: other for other in _subclasses(import_module("agents.agent").Agent)}
    if name not in others:
        raise unknown("class of agents", name, CLASSES)
    return others[name]


def _subclasses(parent: type[Agent]) -> list[type[Agent]]:
    return [found for child in parent.__subclasses__() for found in (child, *_subclasses(child))]


def _check_agent(name: str) -> None:
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)


def _row_weights(agent: str, weights: Any, names: Sequence[str]) -> list[float]:
    """Put weights by knowledge into the order of the rows; knowledge that is not named weighs nothing."""
    if not isinstance(weights, dict) or not weights:
        raise UserError(f"Agent '{agent}' needs weights by knowledge, such as weights: {{{names[0]}: 1}}.")
    for knowledge, weight in weights.items():
        if knowledge not in names:
            if agent in RECIPES:
                raise UserError(
                    f"Agent '{agent}' needs the knowledge '{knowledge}', which is not on offer: add it to "
                    f"knowledge ({', '.join(names)})."
                )
            raise unknown("knowledge", str(knowledge), names)
        check_range(f"The weight of {knowledge}", weight, SHARE)
    if not any(weights.values()):
        raise UserError(f"Agent '{agent}' selects nothing: give at least one knowledge a weight above 0.")
    return [weights.get(knowledge, 0) for knowledge in names]
