"""Agents: what chooses the kinds of knowledge to distil.

Classes are imported on first use, so that importing this package is quick: torch comes with the agents that learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kselect.agents.registry import AGENTS, CLASSES, LEARNERS, load_agent, make_agent, wants_soft

if TYPE_CHECKING:
    from kselect.agents.actor_critic import ActorCritic
    from kselect.agents.agent import Agent
    from kselect.agents.ddpg import DeterministicActorCritic, TowerActorCritic
    from kselect.agents.linear_actor_critic import LinearActorCritic
    from kselect.agents.offline_actor_critic import OfflineActorCritic
    from kselect.agents.portfolio import Portfolio
    from kselect.agents.posterior_sampling import PosteriorSampling
    from kselect.agents.random import RandomHard, RandomSoft
    from kselect.agents.sb3 import SB3Agent
    from kselect.agents.schedule import Schedule

__all__ = [
    "AGENTS",
    "LEARNERS",
    "ActorCritic",
    "Agent",
    "DeterministicActorCritic",
    "LinearActorCritic",
    "OfflineActorCritic",
    "Portfolio",
    "PosteriorSampling",
    "RandomHard",
    "RandomSoft",
    "SB3Agent",
    "Schedule",
    "TowerActorCritic",
    "load_agent",
    "make_agent",
    "wants_soft",
]

_MODULES = {"Agent": "kselect.agents.agent", **CLASSES}


def __getattr__(name: str) -> Any:
    """Import an agent class on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
