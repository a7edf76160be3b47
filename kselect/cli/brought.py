"""What an agent brings to the settings of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from kselect.config import AgentConfig


def knowledge_of_agent(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the knowledge that the agent of a command brings, and how it is compared.

    Args:
        given: every setting that a command line and its files name, of whatever type.
    """
    from kselect.recipes import recipe_defaults

    agent = AgentConfig(**{field.name: given[field.name] for field in fields(AgentConfig) if field.name in given})
    typed = ((agent.agent, str), (agent.agent_settings, dict), (given.get("knowledge") or [], list))
    if not all(isinstance(value, kind) for value, kind in typed):
        return {}  # the check of types refuses it
    return recipe_defaults(agent, given)
