"""Who decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kselect.config.checks import require


@dataclass
class AgentConfig:
    """Agent: who decides what to transfer."""

    agent: str = "actor-critic"
    """An agent out of the list below; to distil, also the folder of a policy that `kselect train-policy` made, or
    weights such as gold:1,logits:0.5, which are those of fixed."""
    agent_settings: dict[str, Any] = field(default_factory=dict)
    """Settings of that agent by name, such as learning_rate=0.001 or, for fixed, {"weights": {"gold": 1}}; see
    docs/agents.md."""

    def __post_init__(self) -> None:
        name = self.agent
        if not isinstance(name, str) or ":" not in name or Path(name).is_dir():
            return
        pairs = [item.partition(":")[::2] for item in name.split(",")]
        require(
            all(kind and _is_number(weight) for kind, weight in pairs) and len(dict(pairs)) == len(pairs),
            f"agent is '{name}', which is no policy folder: give one, or a weight for each knowledge as in "
            "gold:1,logits:0.5.",
        )
        require(not self.agent_settings, f"agent is '{name}', which says all: leave out agent_settings.")
        self.agent, self.agent_settings = "fixed", {"weights": {kind: float(weight) for kind, weight in pairs}}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
