"""When an agent is asked and rewarded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kselect.config.checks import one_of, require


@dataclass
class PhaseConfig:
    """Phases: when the agent is asked, and when its reward is measured."""

    phases: Literal["constant", "growing", "adaptive"] = "growing"
    """How long phases last: all alike, each longer than the last, or longer as the agent settles."""
    phase_steps: int | None = None
    """Training steps of the first phase; by default chosen so that an episode has about 12 phases."""
    phase_growth: float = 1.1
    """Factor from one phase to the next, growing and adaptive phases only."""
    reward_every: int = 1
    """Measure the reward once in so many phases; what the others earned goes to the next measured one."""
    reward_examples: int | None = None
    """Examples of the reward split that a measurement reads; by default as many as cost a twentieth of the training."""

    def __post_init__(self) -> None:
        one_of("phases", self.phases, ("constant", "growing", "adaptive"))
        require(
            self.phase_steps is None or self.phase_steps > 0,
            f"phase_steps is {self.phase_steps}: give a positive number of training steps.",
        )
        require(self.phase_growth >= 1, f"phase_growth is {self.phase_growth}: give 1 or more.")
        require(self.reward_every > 0, f"reward_every is {self.reward_every}: give a positive number of phases.")
        require(
            self.reward_examples is None or self.reward_examples > 0,
            f"reward_examples is {self.reward_examples}: give a positive number.",
        )
