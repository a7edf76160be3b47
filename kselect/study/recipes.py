"""From an agent's recipe to settings of the run."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agents.recipes import RECIPES
from agents.registry import AGENTS, check_offer, knowledge_of
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
    known = name in AGENTS
    needed = knowledge_of(name, agent.agent_settings) if known else _trained_with(name)
    resolved = replace(given, knowledge=list(needed or given.kinds) if given.knowledge is None else given.knowledge)
    if known:
        check_offer(name, agent.agent_settings, resolved.kinds)
    if name in RECIPES:
        resolved = _follow(name, resolved)
    return resolved


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


def _trained_with(folder: str) -> list[str] | None:
    """Return the knowledge that a policy was trained with; None where `folder` holds none or does not say."""
    return read_description(Path(folder)).get("names") if Path(folder).is_dir() else None
