"""When the agent decides, and when its reward is measured: the efficient refinement of Wang et al. (2022)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.config import PhaseConfig

DEFAULT_PHASES = 12
REWARD_SHARE = 0.1
PASSES_PER_STEP = 3  # a training step costs about three forward passes: a backward pass costs two
ENOUGH = 4000  # see docs/reward.md
SETTLED_DISTANCE = 0.1


class PhaseScheduler(ABC):
    """Decides how many training steps the next phase has, and whether its reward is worth measuring."""

    def __init__(self, config: PhaseConfig, total_steps: int) -> None:
        """Plan a run of `total_steps` training steps."""
        self.config = config
        self.total_steps = total_steps
        self.first_steps = min(config.phase_steps or self._default_first_steps(), total_steps)
        self.boundaries: tuple[int, ...] = ()
        self.restart()

    def restart(self) -> None:
        """Start a run."""
        self.phase = 0

    def state(self) -> dict[str, Any]:
        """Return its position in the run, for JSON."""
        return {"phase": self.phase}

    def restore(self, state: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        self.phase = state["phase"]

    @property
    @abstractmethod
    def length(self) -> int:
        """Training steps of the current phase, if no boundary ends it earlier; at least 1."""

    def decide_at(self, shares: Sequence[float]) -> None:
        """Let a phase end at each of these shares of a run, at the first step that is not before it."""
        # Rounded, because 0.7 * 10 is a little more than 7 in floating point.
        self.boundaries = tuple(math.ceil(round(share * self.total_steps, 9)) for share in shares)

    def start_phase(self, selection: NDArray[np.float32], step: int) -> int:
        """Start a phase, and return its number of training steps.

        Args:
            selection: `[k]`, the agent's weights.
            step: Training steps so far.
        """
        ahead = [boundary - step for boundary in self.boundaries if boundary > step]
        return min([self.length, *ahead])

    def finish_phase(self, ended: bool) -> bool:
        """Count a phase as done, and return whether to measure its reward, as always after the last one."""
        self.phase += 1
        return ended or self.phase % self.config.reward_every == 0

    def reward_examples(self, batch_size: int) -> int:
        """Return the number of examples that a reward is measured on; more than there are mean the whole split.

        The default is as many as let all measurements, the one before the first step included, cost a tenth of the
        training steps, but at least a batch and at most `ENOUGH`.
        """
        if self.config.reward_examples is not None:
            return self.config.reward_examples
        measurements = 1 + math.ceil(self._planned_phases() / self.config.reward_every)
        affordable = REWARD_SHARE * self.total_steps * PASSES_PER_STEP * batch_size
        return min(max(batch_size, round(affordable / measurements)), ENOUGH)

    def _planned_phases(self) -> int:
        """Return the number of phases of a run in which all have the first one's length."""
        return math.ceil(self.total_steps / self.first_steps)

    def _default_first_steps(self) -> int:
        return max(1, round(self.total_steps / DEFAULT_PHASES))


class ConstantPhases(PhaseScheduler):
    """Phases of equal length."""

    @property
    def length(self) -> int:
        """The first phase's length."""
        return self.first_steps


class GrowingPhases(PhaseScheduler):
    """Each phase is `phase_growth` times as long as the previous one: many decisions early, when much changes."""

    @property
    def length(self) -> int:
        """The first phase's length times the growth so far."""
        return round(self.first_steps * self.config.phase_growth**self.phase)

    def _default_first_steps(self) -> int:
        growth = self.config.phase_growth
        if growth == 1:
            return super()._default_first_steps()
        return max(1, math.ceil(self.total_steps * (growth - 1) / (growth**DEFAULT_PHASES - 1)))

    def _planned_phases(self) -> int:
        """Return the number of phases of a run, each longer than the one before."""
        growth = self.config.phase_growth
        if growth == 1:
            return super()._planned_phases()
        return math.ceil(math.log1p(self.total_steps * (growth - 1) / self.first_steps) / math.log(growth))


class AdaptivePhases(PhaseScheduler):
    """Phases that grow while the agent repeats its selection, and return to the first length when it changes.

    A selection repeats the previous one when no weight differs by more than 0.1.
    """

    def restart(self) -> None:
        """Start a run."""
        super().restart()
        self.repeats = 0
        self.previous: NDArray[np.float32] | None = None

    def state(self) -> dict[str, Any]:
        """Return its position in the run and the repeated decisions, for JSON."""
        previous = None if self.previous is None else self.previous.tolist()
        return super().state() | {"repeats": self.repeats, "previous": previous}

    def restore(self, state: dict[str, Any]) -> None:
        """Return to the state that `state` returned."""
        super().restore(state)
        self.repeats = state["repeats"]
        self.previous = None if state["previous"] is None else np.array(state["previous"], dtype=np.float32)

    @property
    def length(self) -> int:
        """The first phase's length times the growth for every repetition in a row."""
        return round(self.first_steps * self.config.phase_growth**self.repeats)

    def start_phase(self, selection: NDArray[np.float32], step: int) -> int:
        """Start a phase and compare its selection with the previous one; see `PhaseScheduler.start_phase`."""
        settled = self.previous is not None and bool(np.abs(selection - self.previous).max() <= SETTLED_DISTANCE)
        self.repeats = self.repeats + 1 if settled else 0
        self.previous = np.array(selection, dtype=np.float32)
        return super().start_phase(selection, step)


SCHEDULERS: dict[str, type[PhaseScheduler]] = {
    "constant": ConstantPhases,
    "growing": GrowingPhases,
    "adaptive": AdaptivePhases,
}
