"""From an agent to settings of its run: what it brings, under what is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kselect import io
from kselect.agents.registry import AGENTS, LEARNERS, ONLINE, check_offer, knowledge_of, learns
from kselect.agents.validation import check_names
from kselect.config import TEXT_SOURCES, AgentConfig, KnowledgeConfig, merge_settings, names_with
from kselect.config.knowledge import entries_of
from kselect.errors import KselectError, unknown
from kselect.recipes.catalog import NAMED, RECIPES
from kselect.recipes.shipped import SHIPPED, policy_folder

COMPARISON = "knowledge.json"
COMPARED = names_with(KnowledgeConfig, group="comparison")
OF_STRUCTURES = names_with(KnowledgeConfig, group="structures")
"""Likewise for words; a policy that was saved without them has their defaults."""


def save_comparison(folder: Path, knowledge: KnowledgeConfig) -> None:
    """Save in a policy's folder how the knowledge that it learned from was compared."""
    folder.mkdir(parents=True, exist_ok=True)
    io.write_json(
        folder / COMPARISON, {setting: getattr(knowledge, setting) for setting in (*COMPARED, *OF_STRUCTURES)}
    )


def read_comparison(folder: Path) -> dict[str, Any]:
    """Return what `save_comparison` wrote; nothing for a policy that was saved without it."""
    path = folder / COMPARISON
    if not path.is_file():
        return {}
    try:
        kept = io.read_json(path)
        there = [setting for setting in OF_STRUCTURES if setting in kept]
        values = {setting: kept[setting] for setting in (*COMPARED, *there)}
        KnowledgeConfig(**values)
        return values
    except KselectError as error:
        raise KselectError(f"{path} has a wrong value: {error} Copy it again, or remove it for the defaults.") from None
    except (OSError, ValueError, TypeError, KeyError):
        raise KselectError(
            f"{path} does not say {', '.join(COMPARED)}: copy it again, or remove it for the defaults."
        ) from None


def resolve(agent: AgentConfig, **given: Any) -> KnowledgeConfig:
    """Return what is on offer in a run under `agent`, and how it is compared: what it brings, under what is given.

    `given` holds settings by name, such as temperature=4.0. One that is given wins, at its default, too; mappings are
    laid over each other name by name.

    Raises:
        KselectError: knowledge that lacks what the agent needs; a weighting that is not the agent's.
    """
    knowledge = KnowledgeConfig(**merge_settings(given, recipe_defaults(agent, given)))
    check(agent, knowledge)
    return knowledge


def recipe_defaults(agent: AgentConfig, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that an agent's recipe or saved policy has for settings of knowledge.

    Args:
        agent: a recipe's name, an agent, or the folder of a policy.
        overrides: settings by name that are given, and win over these defaults.

    Returns:
        The kinds of knowledge that it weighs by name or, for a policy, that it was trained with, and how they are
        compared, as far as it says; nothing for an agent that leaves both to the models.
    """
    name, settings, needed = agent.agent, {}, None
    if name in RECIPES:
        check_names(name, agent.agent_settings, ())
        settings, needed = dict(RECIPES[name].settings), RECIPES[name].knowledge
    elif name in AGENTS:
        needed = knowledge_of(name, agent.agent_settings)
    elif (folder := policy_folder(name)) is not None:
        from kselect.agents.serialization import (
            read_description,  # with numpy, which a command line without a policy need not load
        )

        settings, needed = read_comparison(folder), read_description(folder).get("names")
        settings |= {"skip_unsupported": True} if name in SHIPPED else {}
    kinds = [kind for kind in needed or () if kind not in TEXT_SOURCES]
    if kinds:
        settings["knowledge"] = kinds
    if overrides.get("layer_map") is not None:
        settings.pop("layer_maps", None)  # a single map for all kinds was given
    offered = overrides.get("knowledge") or settings.get("knowledge")
    for setting in ("layer_maps", "scales"):
        if setting in settings and offered:
            settings[setting] = entries_of(settings[setting], offered)
    return settings


def check(agent: AgentConfig, knowledge: KnowledgeConfig) -> None:
    """Refuse knowledge that an agent by name cannot work with; what the models are yet to settle is not refused."""
    name, recipe, kinds = agent.agent, RECIPES.get(agent.agent), knowledge.knowledge
    if recipe is None:
        if name in AGENTS and kinds is not None:
            check_offer(name, agent.agent_settings, [*kinds, *TEXT_SOURCES])
        return
    check_names(name, agent.agent_settings, ())
    for kind in recipe.knowledge or ():
        if kinds is not None and kind not in kinds:
            raise KselectError(
                f"Agent '{name}' needs the knowledge '{kind}', which is not on offer: add it to knowledge "
                f"({', '.join(kinds)})."
            )
    own = recipe.settings.get("weighting")
    if own and knowledge.weighting != own:
        raise KselectError(f"Agent '{name}' has its own weighting ({own}): leave out weighting {knowledge.weighting}.")


def check_learner(name: str) -> None:
    """Refuse an agent that no policy can be learned by."""
    if name in ONLINE:
        raise KselectError(f"{name} learns while it distils: to train a policy, give {ONLINE[name]}.", setting="agent")
    if name not in NAMED:
        raise unknown("agent", name, LEARNERS)
    if not learns(name):
        raise KselectError(f"{name} has nothing to learn: train one of {', '.join(LEARNERS)}.")


def check_decider(name: str) -> None:
    """Refuse an agent that cannot decide in a distillation; the folder of a policy can."""
    if learns(name):
        raise KselectError(
            f"{name} has no policy yet: give the folder of a trained policy, or online.", setting="agent"
        )
    if name not in NAMED and name not in ONLINE and policy_folder(name) is None:
        raise unknown("agent or policy folder", name, [*NAMED, *ONLINE, *SHIPPED])
