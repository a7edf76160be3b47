"""Build the agent that a setting names, and the environment it acts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from kselect.agents.agent import Agent
from kselect.agents.registry import ONLINE, agent_class, find_class, load_agent, make_agent, wants_soft
from kselect.agents.serialization import read_description
from kselect.agents.stages import stage_knowledge
from kselect.config import TEXT_SOURCES, AgentConfig, PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.facts.facts import FACTS
from kselect.envs.distillation import CLS, DistillationEnv
from kselect.envs.observation import CONTEXT
from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.recipes import RECIPES, check, check_decider, check_learner
from kselect.recipes.shipped import policy_folder


@dataclass(frozen=True)
class PolicySetup:
    """An agent and its environment.

    Attributes:
        agent: Selects the knowledge.
        env: Its environment, with the observations and actions that the agent needs.
        learning: Whether the agent explores and learns in this run.
    """

    agent: Agent
    env: DistillationEnv
    learning: bool


def build_trainable_agent(config: AgentConfig, distiller: Distiller, phases: PhaseConfig, seed: int) -> PolicySetup:
    """Build an untrained agent that learns a policy."""
    check_learner(config.agent)
    return _build(config.agent, config, distiller, phases, seed, learning=True)


def build_policy(config: AgentConfig, distiller: Distiller, phases: PhaseConfig, seed: int) -> PolicySetup:
    """Build the agent of one distillation: a trained policy, a baseline, or an agent that learns on the way."""
    name = config.agent
    check_decider(name)
    if name in ONLINE:
        return _build(ONLINE[name], config, distiller, phases, seed, learning=True)
    if (folder := policy_folder(name)) is not None:
        return _trained(folder, config, distiller, phases)
    check(config, distiller.offered)
    if name in RECIPES:
        config = RECIPES[name].schedule(distiller.names)
    config = AgentConfig(config.agent, _with_texts(config.agent_settings, distiller.sources))
    _warn_of_unread_texts(config, distiller)
    return _build(config.agent, config, distiller, phases, seed, learning=False)


def reads_run(config: AgentConfig) -> bool:
    """Return whether an agent can decide only while its run is under way: it reads the run's state, or learns in it."""
    name = config.agent
    if name in RECIPES or name in ONLINE:
        return name in ONLINE
    folder = policy_folder(name)
    return (agent_class(name) if folder is None else find_class(read_description(folder)["class"])).reads_state


def build_env(agent: Agent, distiller: Distiller, phases: PhaseConfig) -> DistillationEnv:
    """Return an environment with the observations and actions that an agent, made before, was made for."""
    return DistillationEnv(
        distiller,
        "soft" if agent.soft else "hard",
        replace(phases, observe_facts=phases.observe_facts or agent.context_size > len(CONTEXT)),
        measure_rewards=phases.measure_rewards or (agent.reads_state and "context" in agent.observation_keys),
        observe_cls=not set(CLS).isdisjoint(agent.observation_keys),
    )


def _with_texts(settings: Mapping[str, Any], sources: Sequence[str]) -> dict[str, Any]:
    """Return an agent's settings, whose weights have 1 for further texts that they do not name."""
    unnamed = dict.fromkeys(sources, 1)
    found = {**settings}
    if "weights" in found:
        found["weights"] = unnamed | found["weights"]
    if "stages" in found:
        found["stages"] = [
            {**stage, **{key: unnamed | stage[key] for key in ("weights", "to") if stage.get(key)}}
            for stage in found["stages"]
        ]
    named = stage_knowledge([{"weights": found.get("weights")}, *found.get("stages", ())])
    missing = next((name for name in named if name in TEXT_SOURCES and name not in sources), None)
    if missing is not None:
        raise KselectError(
            f"The weights name {missing}, and there are no such texts: give {TEXT_SOURCES[missing]}, or leave "
            f"{missing} out of the weights.",
            setting=TEXT_SOURCES[missing],
        )
    return found


def _warn_of_unread_texts(config: AgentConfig, distiller: Distiller) -> None:
    """Warn where there are texts without labels, and everything that the weights name reads labels."""
    settings = config.agent_settings
    named = stage_knowledge([{"weights": settings.get("weights")}, *settings.get("stages", ())])
    read = [kind for kind in distiller.knowledge if kind.name in named]
    if distiller.sources and read and all(kind.reads_labels for kind in read):
        get_logger().warning(
            "The texts without labels (%s) are not read: %s needs labels.",
            ", ".join(distiller.sources),
            " and ".join(kind.name for kind in read),
        )


def _build(
    name: str, config: AgentConfig, distiller: Distiller, phases: PhaseConfig, seed: int, learning: bool
) -> PolicySetup:
    actions: Literal["hard", "soft"] = "hard" if wants_soft(name) is False else "soft"
    measured = learning or phases.measure_rewards
    env = DistillationEnv(
        distiller, actions, phases, measure_rewards=measured, observe_cls=_reads_cls(agent_class(name))
    )
    agent = make_agent(
        name, env.observation_space, env.action_space, distiller.names, seed=seed, **config.agent_settings
    )
    return PolicySetup(agent, env, learning)


def _trained(folder: Path, config: AgentConfig, distiller: Distiller, phases: PhaseConfig) -> PolicySetup:
    if config.agent_settings:
        raise KselectError("agent_settings cannot change a trained policy: leave them out, or train another.")
    description = read_description(folder)
    kind = find_class(description["class"])
    reads_facts = description["context"] == len(CONTEXT) + len(FACTS)
    env = DistillationEnv(
        distiller,
        description["actions"],
        replace(phases, observe_facts=phases.observe_facts or reads_facts),
        measure_rewards="context" in kind.observation_keys or phases.measure_rewards,
        observe_cls=_reads_cls(kind) or not set(CLS).isdisjoint(description.get("further", {})),
    )
    fitted = load_agent(folder, env.observation_space, env.action_space, distiller.names)
    return PolicySetup(fitted, env, learning=False)


def _reads_cls(agent: type[Agent]) -> bool:
    return not set(CLS).isdisjoint(agent.observation_keys)
