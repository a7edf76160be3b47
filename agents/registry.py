"""The agents by name. Importing this module is quick: torch is imported only with an agent that learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.agents.stages import Stages, check_mapping, check_stages, row_stages, stage_knowledge
from kselect.agents.validation import check_names, setting_names
from kselect.errors import KselectError, unknown
from kselect.plugins import PluginRegistry, distribution, load_plugin

if TYPE_CHECKING:
    from gymnasium import spaces

    from kselect.agents.agent import Agent

LEARNERS = {
    "actor-critic": "learns which knowledge to select at each phase (hard selections)",
    "deterministic-actor-critic": "learns a weight in [0, 1] for each kind of knowledge (soft; Wang et al. 2022)",
    "paper": "the same from [CLS] alone, through towers as in the paper; only for the models and knowledge it was "
    "trained on",
    "linear-actor-critic": "learns from whole episodes what each kind of knowledge gains and when, by a linear "
    "critic; for few episodes (hard or soft)",
    "posterior-sampling": "learns what each kind of knowledge gains, when, and for later phases, and plans whole runs; "
    "for few episodes (hard or soft)",
}
"""The agents of this package that learn a policy, with a line that says how."""

ONLINE = {"online": "actor-critic", "online-soft": "deterministic-actor-critic"}
"""Learners that start untrained and learn during the distillation, by the names of the agents that they are."""

CLASSES = {
    "ActorCritic": "kselect.agents.actor_critic",
    "DeterministicActorCritic": "kselect.agents.ddpg",
    "TowerActorCritic": "kselect.agents.ddpg",
    "LinearActorCritic": "kselect.agents.linear_actor_critic",
    "OfflineActorCritic": "kselect.agents.offline_actor_critic",
    "Portfolio": "kselect.agents.portfolio",
    "PosteriorSampling": "kselect.agents.posterior_sampling",
    "RandomHard": "kselect.agents.random",
    "RandomSoft": "kselect.agents.random",
    "SB3Agent": "kselect.agents.sb3",
    "Schedule": "kselect.agents.schedule",
}
"""The module of each agent class of this package."""

_CLASS_OF = {
    "actor-critic": "ActorCritic",
    "deterministic-actor-critic": "DeterministicActorCritic",
    "paper": "TowerActorCritic",
    "linear-actor-critic": "LinearActorCritic",
    "posterior-sampling": "PosteriorSampling",
    "fixed": "Schedule",
    "schedule": "Schedule",
    "random-hard": "RandomHard",
    "random-soft": "RandomSoft",
}


def _description(plugin: EntryPoint) -> str:
    return f"an agent of the package {distribution(plugin)}"


AGENTS: PluginRegistry[str] = PluginRegistry(
    "kselect.agents",
    {
        **LEARNERS,
        "fixed": "constant weights, as in weights: {gold: 1, logits: 1}",
        "schedule": "weights that change in stages over the run",
        "random-hard": "a random selection at each phase, never an empty one",
        "random-soft": "random weights in [0, 1] at each phase",
    },
    _description,
)
"""Every agent's name, with a line that says what it does; installed packages add theirs (`kselect.plugins`)."""


def agent_class(name: str) -> type[Agent]:
    """Return the class of the agent called `name`."""
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)
    return _plugin_class(AGENTS.plugins[name]) if name not in _CLASS_OF else find_class(_CLASS_OF[name])


def learns(name: str) -> bool:
    """Return whether the agent called `name`, if there is one, learns a policy."""
    return name in LEARNERS or (name not in _CLASS_OF and name in AGENTS and agent_class(name).learns)


def wants_soft(name: str) -> bool | None:
    """Return whether an agent needs soft actions (True) or hard ones (False); None if it takes either."""
    actions = agent_class(name).actions
    return actions == ("soft",) if len(actions) == 1 else None


def knowledge_of(name: str, settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the kinds of knowledge that an agent weighs by name; None for those on offer, of any name."""
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)
    return stage_knowledge(_stages(name, settings)) if _CLASS_OF.get(name) == "Schedule" else None


def check_offer(name: str, settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse knowledge on offer (`names`) that lacks a kind that the agent's weights or stages name."""
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
    """Make an agent by its name.

    Args:
        name: a name out of `AGENTS`.
        observation_space: of the environment.
        action_space: of the environment.
        names: the kinds of knowledge on offer, in the order of the rows of an observation.
        seed: of the agent's random stream.
        settings: the agent's settings by name.

    Raises:
        KselectError: an unknown agent or setting, a setting outside its range, knowledge that is not on offer, or a
            kind of action that the agent cannot give.
    """
    cls = agent_class(name)
    if _CLASS_OF.get(name) == "Schedule":
        check_offer(name, settings, names)
        settings = {"stages": row_stages(_stages(name, settings), names)}
    else:
        check_names(name, settings, tuple(known for known in setting_names(cls) if known != "seed"))
    agent = cls(observation_space, action_space, seed=seed, **settings)
    agent.names = tuple(names)
    return agent


def load_agent(
    folder: str | Path,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    names: Sequence[str] | None = None,
) -> Agent:
    """Load the agent saved in a folder, of any class; see `Agent.load` for the arguments.

    Raises:
        KselectError: no agent in the folder, a class that is not known, or spaces that do not fit.
    """
    from kselect.agents.serialization import read_description

    name = read_description(Path(folder))["class"]
    return find_class(name).load(folder, observation_space, action_space, names)


def find_class(name: str) -> type[Agent]:
    """Return an agent class by its name: of this package, an imported subclass of Agent, or of another package."""
    if name in CLASSES:
        cls: type[Agent] = getattr(import_module(CLASSES[name]), name)
        return cls
    base: type[Agent] = import_module("kselect.agents.agent").Agent
    imported = {other.__name__: other for other in _subclasses(base)}
    if name not in imported:
        imported |= {cls.__name__: cls for cls in map(_plugin_class, AGENTS.plugins.values())}
    if name not in imported:
        raise unknown("class of agents", name, CLASSES)
    return imported[name]


def _plugin_class(plugin: EntryPoint) -> type[Agent]:
    cls: type[Agent] = load_plugin(plugin)
    if not (isinstance(cls, type) and issubclass(cls, import_module("kselect.agents.agent").Agent)):
        raise KselectError(
            f"The package {distribution(plugin)} announces the agent {plugin.name}, and {plugin.value} is not a "
            "subclass of kselect.Agent: update or uninstall that package."
        )
    return cls


def _subclasses(parent: type[Agent]) -> list[type[Agent]]:
    return [cls for child in parent.__subclasses__() for cls in (child, *_subclasses(child))]


def _stages(agent: str, settings: Mapping[str, Any]) -> Stages:
    """Return the stages of `fixed` or `schedule`, with weights by knowledge."""
    check_names(agent, dict(settings), {"fixed": ("weights",), "schedule": ("stages",)}[agent])
    if agent == "fixed":
        if "weights" not in settings:
            raise KselectError(
                "Agent 'fixed' needs weights by knowledge, such as weights: {gold: 1}.", setting="agent_settings"
            )
        check_mapping(agent, "weights", settings.get("weights"))
        return [dict(settings)]
    return check_stages(agent, settings.get("stages"))
