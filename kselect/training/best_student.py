"""The best student of a run by its reward split: early stopping, and its weights at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from kselect.config import StoppingConfig
from kselect.distillation.callback import DistillerCallback, TrainingControl
from kselect.distillation.distiller import Distiller
from kselect.envs.distillation import DistillationEnv


class BestStudent(DistillerCallback):
    """Watches the student's gain on the reward split in one episode, as transformers' trainer does a metric.

    A measurement is the best if it is above all before it. It counts for the patience if it is above the best one
    before it by more than the threshold.

    Attributes:
        best: the gain since the start at the best measurement, in the unit of rewards; None before the first one.
        step: training steps of the best student.
        stale: measurements in a row since the last that counted.
    """

    def __init__(self, distiller: Distiller, config: StoppingConfig) -> None:
        """Watch `distiller`, whose environment must measure rewards."""
        self.best: float | None = None
        self.step = self.stale = 0
        self._distiller = distiller
        self._config = config
        self._weights: dict[str, Tensor] = {}

    def on_train_begin(self, control: TrainingControl) -> None:
        """Stop a resumed run that had been about to stop."""
        self._stop(control)

    def on_phase_end(self, record: dict[str, Any], control: TrainingControl) -> None:
        """Compare the student with the best one, if it was measured after this phase."""
        if "return" not in record:
            return
        gain = float(record["return"])
        counts = self.best is None or gain > self.best + self._config.early_stopping_threshold
        self.stale = 0 if counts else self.stale + 1
        if self.best is None or gain > self.best:
            self.best, self.step = gain, int(record["step"])
            if self._config.load_best_student_at_end:
                self._weights = {name: value.detach().to("cpu", copy=True) for name, value in self._current().items()}
        self._stop(control)

    def on_train_end(self, control: TrainingControl) -> None:
        """Give the student the weights of its best measurement, if they are to be loaded."""
        for name, value in self._current().items():
            if name in self._weights:
                value.copy_(self._weights[name])

    def results(self) -> dict[str, Any]:
        """Return the best measurement, for results.json."""
        return {"best": {"step": self.step, "return": self.best, "loaded": bool(self._weights)}}

    def state_dict(self) -> dict[str, Any]:
        """Return the best measurement with its weights."""
        return {"best": self.best, "step": self.step, "stale": self.stale, **self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to the state that `state_dict` returned."""
        self.best, self.step, self.stale = state["best"], state["step"], state["stale"]
        self._weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}

    def _current(self) -> dict[str, Tensor]:
        """Return the student's weights, which share memory with it."""
        student = self._distiller.student
        parts = {"model": student.model.state_dict(), "head": student.head.state_dict()}
        return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}

    def _stop(self, control: TrainingControl) -> None:
        patience = self._config.early_stopping_patience
        if patience is not None and self.stale >= patience:
            control.should_training_stop = True


def watch_best(env: DistillationEnv, config: StoppingConfig) -> list[BestStudent]:
    """Return what watches the student of an environment, which then measures rewards; nothing if none is asked for."""
    if not config.measures:
        return []
    env.measure_rewards = True
    return [BestStudent(env.distiller, config)]
