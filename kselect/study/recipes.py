"""From an agent's recipe to settings of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agents.recipes import RECIPES
from agents.registry import AGENTS, ONLINE, check_offer, knowledge_of
from agents.storage import read_description
from kselect.config import AgentConfig, KnowledgeConfig
from kselect.errors import UserError


def resolve(agent: AgentConfig, given: KnowledgeConfig) -> KnowledgeConfig:
    """Return what is on offer in a run under `agent`, and how it is compared: its recipe, under what is given.

    What is given wins: mappings name by name, any other setting where it is not at its default. Without `knowledge`, on
    offer is what the agent weighs by name or, for a policy, what it was trained with, or else the default kinds. A
    resolved configuration resolves to itself.

    Raises:
        UserError: knowledge that lacks what the agent needs; a weighting that is not the agent's.
    """
    name = agent.agent
    needed = _needed(name, agent.agent_settings)
    resolved = replace(given, knowledge=list(needed or given.kinds) if given.knowledge is None else given.knowledge)
    if name in AGENTS:
        check_offer(name, agent.agent_settings, resolved.kinds)
    return _follow(name, resolved) if name in RECIPES else resolved


def _needed(name: str, agent_settings: dict[str, Any]) -> Sequence[str] | None:
    """Return the knowledge that an agent weighs or a policy was trained with; None for whatever is on offer."""
    if name in AGENTS:
        return knowledge_of(name, agent_settings)
    is_policy = name not in ONLINE and Path(name).is_dir()
    return read_description(Path(name)).get("names") if is_policy else None


def _follow(name: str, given: KnowledgeConfig) -> KnowledgeConfig:
    """Fill in the settings of the recipe `name`."""
    settings = dict(RECIPES[name].settings)
    weighting = settings.get("weighting")
    if weighting and given.weighting not in (_default("weighting"), weighting):
        raise UserError(f"Agent '{name}' has its own weighting ({weighting}): leave out weighting {given.weighting}.")
    if given.layer_map != _default("layer_map"):
        settings.pop("layer_maps", None)  # one map for all was asked for
    return replace(given, **{setting: _merged(setting, value, given) for setting, value in settings.items()})


def _merged(setting: str, recipe: Any, config: KnowledgeConfig) -> Any:
    given = getattr(config, setting)
    if isinstance(recipe, dict):
        return {**recipe, **given}
    return recipe if given == _default(setting) else given


def _default(setting: str) -> Any:
    return next(field.default for field in fields(KnowledgeConfig) if field.name == setting)
