"""The record of an episode, and plain functions that watch one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kselect.distillation.callback import DistillerCallback, TrainingControl

Record = dict[str, Any]
OnPhase = Callable[[Record], None]


@dataclass(frozen=True)
class Episode:
    """One distillation run.

    Attributes:
        task: Name of the task.
        total_reward: Sum of the rewards, in the `reward_unit` of its records: by default nats of cross-entropy on the
            reward split, or squared error.
        seconds: Wall time by part, see `kselect.distillation.cost_account`; `other` is the rest, such as logging.
        history: The record of each phase, see `DistillerCallback.on_phase_end`.
        truncated: Whether a callback stopped it before its last training step.
    """

    task: str
    total_reward: float
    seconds: dict[str, float]
    history: list[Record] = field(repr=False)
    truncated: bool = field(default=False, kw_only=True)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the wall time by part."""
        total = sum(self.seconds.values())
        return {part: seconds / total for part, seconds in self.seconds.items()}


OnEpisode = Callable[[Episode], None]


class FunctionCallback(DistillerCallback):
    """Plain functions as a callback."""

    def __init__(self, on_phase: OnPhase | None, on_episode: OnEpisode | None) -> None:
        self._on_phase, self._on_episode = on_phase, on_episode

    def on_phase_end(self, record: Record, control: TrainingControl) -> None:
        """Call the function for phases, if any."""
        if self._on_phase is not None:
            self._on_phase(record)

    def on_episode_end(self, episode: Episode, control: TrainingControl) -> None:
        """Call the function for episodes, if any."""
        if self._on_episode is not None:
            self._on_episode(episode)
