"""How long an agent learns."""

from __future__ import annotations

from dataclasses import dataclass, field

from kselect.config.checks import require


@dataclass
class PolicyConfig:
    """Policy: how long an agent learns before it is saved, and on what."""

    episodes: int = 8
    """Distillations the agent learns from, over all tasks."""
    also: list[str] = field(default_factory=list)
    """Further tasks, which take turns: a YAML file for each, with its task, its teacher and what else differs there."""
    parallel: int = 1
    """Episodes played side by side, each in a process of its own."""

    def __post_init__(self) -> None:
        tasks = 1 + len(self.also)
        require(self.episodes > 0, f"episodes is {self.episodes}: give a positive number.")
        require(self.episodes >= tasks, f"episodes is {self.episodes}: give one for each of {tasks} tasks, or more.")
        require(
            self.parallel > 0 and self.episodes % self.parallel == 0,
            f"parallel is {self.parallel}: give a divisor of episodes ({self.episodes}).",
        )
        require(
            self.parallel == 1 or self.parallel % tasks == 0,
            f"parallel is {self.parallel}: give 1, or a multiple of the number of tasks ({tasks}).",
        )
