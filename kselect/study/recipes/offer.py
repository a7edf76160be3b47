"""From an agent to settings of its run: what it brings, under what is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.registry import AGENTS, ONLINE, check_offer, knowledge_of
from agents.settings import check_names
from kselect.config import AgentConfig, KnowledgeConfig, laid_over
from kselect.errors import UserError
from kselect.study.recipes.comparison import read_comparison
from kselect.study.recipes.published import RECIPES


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

    Its knowledge is what it weighs by name or, for a policy, what it was trained with; others bring none, and leave it
    to the models. A recipe also brings its own comparison, and a policy that of its training: the parts that concern
    what is on offer.
    """
    name, settings, needed = agent.agent, {}, None
    if name in RECIPES:
        check_names(name, agent.agent_settings, ())
        settings, needed = dict(RECIPES[name].settings), RECIPES[name].knowledge
    elif name in AGENTS:
        needed = knowledge_of(name, agent.agent_settings)
    elif name not in ONLINE and Path(name).is_dir():
        from agents.storage import read_description  # with numpy, which a command line without a policy need not load

        settings, needed = read_comparison(Path(name)), read_description(Path(name)).get("names")
    if needed:
        settings["knowledge"] = list(needed)
    if given.get("layer_map") is not None:
        settings.pop("layer_maps", None)  # one map for all was asked for
    offered = given.get("knowledge") or settings.get("knowledge")
    for setting in ("layer_maps", "scales"):
        if setting in settings and offered:
            settings[setting] = {kind: value for kind, value in settings[setting].items() if kind in offered}
    return settings


def check(agent: AgentConfig, knowledge: KnowledgeConfig) -> None:
    """Refuse knowledge that an agent by name cannot work with; what the models are yet to settle is not refused.

    Raises:
        UserError: it lacks what the agent needs, or its weighting is not the agent's.
    """
    name, recipe, kinds = agent.agent, RECIPES.get(agent.agent), knowledge.knowledge
    if recipe is None:
        if name in AGENTS and kinds is not None:
            check_offer(name, agent.agent_settings, kinds)
        return
    check_names(name, agent.agent_settings, ())
    for kind in recipe.knowledge or ():
        if kinds is not None and kind not in kinds:
            raise UserError(
                f"Agent '{name}' needs the knowledge '{kind}', which is not on offer: add it to knowledge "
                f"({', '.join(kinds)})."
            )
    own = recipe.settings.get("weighting")
    if own and knowledge.weighting != own:
        raise UserError(f"Agent '{name}' has its own weighting ({own}): leave out weighting {knowledge.weighting}.")
