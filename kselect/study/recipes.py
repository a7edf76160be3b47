"""From an agent to settings of its run: what it brings, under what is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.recipes import RECIPES
from agents.registry import AGENTS, ONLINE, check_offer, knowledge_of
from kselect.config import DEFAULT_KNOWLEDGE, AgentConfig, KnowledgeConfig, laid_over
from kselect.errors import UserError
from kselect.study import atomic

COMPARISON = "knowledge.json"
COMPARED = ("weighting", "temperature", "layer_map", "layer_maps", "relation_heads", "scales")


def resolve(agent: AgentConfig, **given: Any) -> KnowledgeConfig:
    """Return what is on offer in a run under `agent`, and how it is compared: what it brings, under what is given.

    `given` holds settings by name, such as temperature=4.0. One that is given wins, at its default, too; mappings are
    laid over each other name by name.

    Raises:
        UserError: knowledge that lacks what the agent needs; a weighting that is not the agent's.
    """
    knowledge = KnowledgeConfig(**laid_over(given, brought(agent, given)))
    check(agent, knowledge)
    return knowledge


def brought(agent: AgentConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that an agent brings for a run in which others are `given`.

    Its knowledge is what it weighs by name or, for a policy, what it was trained with, or else the default kinds. A
    recipe also brings its own comparison, and a policy that of its training: the parts that concern what is on offer.
    """
    name, settings, needed = agent.agent, {}, None
    if name in AGENTS:
        settings = dict(RECIPES[name].settings) if name in RECIPES else {}
        needed = knowledge_of(name, agent.agent_settings)
    elif name not in ONLINE and Path(name).is_dir():
        from agents.storage import read_description  # with numpy, which a command line without a policy need not load

        settings, needed = _read_comparison(Path(name)), read_description(Path(name)).get("names")
    settings["knowledge"] = list(needed or DEFAULT_KNOWLEDGE)
    if given.get("layer_map") is not None:
        settings.pop("layer_maps", None)  # one map for all was asked for
    offered = given.get("knowledge") or settings["knowledge"]
    for setting in ("layer_maps", "scales"):
        if setting in settings:
            settings[setting] = {kind: value for kind, value in settings[setting].items() if kind in offered}
    return settings


def check(agent: AgentConfig, knowledge: KnowledgeConfig) -> None:
    """Refuse knowledge that an agent by name cannot work with.

    Raises:
        UserError: it lacks what the agent needs, or its weighting is not the agent's.
    """
    name = agent.agent
    if name in AGENTS:
        check_offer(name, agent.agent_settings, knowledge.kinds)
    own = RECIPES[name].settings.get("weighting") if name in RECIPES else None
    if own and knowledge.weighting != own:
        raise UserError(f"Agent '{name}' has its own weighting ({own}): leave out weighting {knowledge.weighting}.")


def keep_comparison(folder: Path, knowledge: KnowledgeConfig) -> None:
    """Write down, in a policy's folder, how the knowledge that it learned from was compared."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_json(folder / COMPARISON, {setting: getattr(knowledge, setting) for setting in COMPARED})


def _read_comparison(folder: Path) -> dict[str, Any]:
    """Return what `keep_comparison` wrote; nothing for a policy that was saved without it."""
    path = folder / COMPARISON
    if not path.is_file():
        return {}
    try:
        kept = atomic.read_json(path)
        return {setting: kept[setting] for setting in COMPARED}
    except (ValueError, TypeError, KeyError):
        raise UserError(
            f"{path} does not say {', '.join(COMPARED)}: copy it again, or remove it for the defaults."
        ) from None
