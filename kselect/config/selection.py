"""The agent, the phases that it decides for, and how long a policy is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kselect.config.validation import Config, require

REWARDS = ("loss", "calibrated-loss", "metric")
"""What rewards measure."""


@dataclass(frozen=True)
class AgentConfig(Config):
    """Agent: decides which kinds of knowledge to transfer."""

    agent: str = "actor-critic"
    """An agent out of the list below; to distil, also the folder of a policy that `kselect train-policy` saved, or
    weights such as gold:1,logits:0.5, which are those of fixed."""
    agent_settings: dict[str, Any] = field(default_factory=dict)
    """Settings of that agent by name, such as learning_rate=0.001 or, for fixed, {"weights": {"gold": 1}}; see
    docs/agents.md."""

    def validate(self) -> None:
        """Refuse an agent that is neither a name, nor a folder, nor weights; take weights for those of `fixed`."""
        require(bool(self.agent), "agent is empty: give a name or the folder of a policy.", "agent")
        if ":" not in self.agent or _is_folder(self.agent):
            return
        weights = [item.partition(":")[::2] for item in self.agent.split(",")]
        require(
            all(kind and is_number(weight) for kind, weight in weights) and len(dict(weights)) == len(weights),
            f"agent is '{self.agent}', which is not a policy folder: give one, or a weight for each kind of knowledge "
            "as in gold:1,logits:0.5.",
            "agent",
        )
        require(
            not self.agent_settings,
            f"agent is '{self.agent}', which has all its settings: leave out agent_settings.",
            "agent_settings",
        )
        object.__setattr__(self, "agent", "fixed")
        object.__setattr__(self, "agent_settings", {"weights": {kind: float(weight) for kind, weight in weights}})


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):  # no system has a folder of such a name
        return False


def is_number(text: str) -> bool:
    """Return whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class PhaseConfig(Config):
    """Phases: when the agent decides, what it observes, and when its reward is measured."""

    phases: Literal["constant", "growing", "adaptive"] = "growing"
    """Length of phases: constant, growing, or growing as the agent's decisions settle."""
    phase_steps: int | None = None
    """Training steps of the first phase; by default chosen so that an episode has about 12 phases."""
    phase_growth: float = 1.1
    """Factor from one phase to the next, growing and adaptive phases only."""
    reward_every: int = 1
    """Phases from one measured reward to the next; what the others earned is added to the next measured one."""
    reward_examples: int | None = None
    """Examples of the reward split that a measurement reads; by default as many as cost a tenth of the training."""
    reward: Literal["loss", "calibrated-loss", "metric"] | None = None
    """What a reward is the gain in: loss on the reward split, that loss after the best temperature (the default, where
    the student's head has one temperature), or the task's metric (see docs/reward.md)."""
    measure_rewards: bool = False
    """Measure rewards also under agents that do not read them, to compare their curves with a policy's; by default
    only under the others, which saves the time that it takes."""
    observe_facts: bool = False
    """Show the agent facts of the run, such as how far the teacher is ahead of the student; a policy that was trained
    with them always sees them."""

    def validate(self) -> None:
        """Refuse numbers out of range."""
        steps, examples = self.phase_steps, self.reward_examples
        self.require("phase_steps", steps is None or steps > 0, "give a positive number of training steps")
        self.require("phase_growth", self.phase_growth >= 1, "give 1 or more")
        self.require("reward_every", self.reward_every > 0, "give a positive number of phases")
        self.require("reward_examples", examples is None or examples > 0, "give a positive number")


@dataclass(frozen=True)
class PolicyConfig(Config):
    """Policy: how long an agent is trained before its policy is saved, and on which tasks."""

    episodes: int = 8
    """Distillations the agent learns from, over all tasks."""
    also: list[str] = field(default_factory=list)
    """Further tasks, which alternate: a YAML file for each, with its task, its teacher and what else differs there."""
    parallel: int = 1
    """Episodes run in parallel, each in its own process."""

    def validate(self) -> None:
        """Refuse episodes that do not divide among tasks and processes."""
        tasks = 1 + len(self.also)
        self.require("episodes", self.episodes > 0, "give a positive number")
        self.require("episodes", self.episodes >= tasks, f"give one for each of {tasks} tasks, or more")
        divides = self.parallel > 0 and self.episodes % self.parallel == 0
        self.require("parallel", divides, f"give a divisor of episodes ({self.episodes})")
        multiple = self.parallel == 1 or self.parallel % tasks == 0
        self.require("parallel", multiple, f"give 1, or a multiple of the number of tasks ({tasks})")
