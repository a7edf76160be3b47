"""Who decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class AgentConfig:
    """Agent: who decides what to transfer."""

    agent: str = "actor-critic"
    """An agent out of the list below or, to distil, the folder of a policy that `kselect train-policy` made."""
    agent_settings: dict[str, Any] = field(default_factory=dict)
    """Settings of that agent by name, such as learning_rate=0.001 or, for fixed, {"weights": {"gold": 1}}; see
    docs/agents.md."""
