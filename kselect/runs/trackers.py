"""Trackers of experiments (Weights & Biases, MLflow, ...), which get the numbers that TensorBoard gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from kselect.config.run import TRACKERS
from kselect.distillation.device import find_device
from kselect.errors import KselectError, first_line

PROJECT = "kselect"
"""The project, or experiment, that runs are collected in."""
ARGUMENTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "aim": lambda folder: {"run_name": folder.name, "logging_dir": str(folder.parent), "experiment": PROJECT},
    "clearml": lambda folder: {"run_name": PROJECT, "task_name": folder.name},
    "comet_ml": lambda folder: {"run_name": PROJECT},
    "dvclive": lambda folder: {"dir": str(folder / "dvclive")},
    "mlflow": lambda folder: {"experiment_name": PROJECT, "run_name": folder.name},
    "swanlab": lambda folder: {"run_name": PROJECT, "experiment_name": folder.name},
    "trackio": lambda folder: {"run_name": PROJECT, "name": folder.name},
    "wandb": lambda folder: {"run_name": PROJECT, "name": folder.name, "dir": str(folder)},
}
"""How accelerate's class for each tracker is called for the run in a folder."""
assert ARGUMENTS.keys() == TRACKERS.keys()


class Trackers:
    """The trackers of one run, of which there may be none."""

    def __init__(self, names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> None:
        """Start trackers by name for the run in `folder`, and store its settings.

        Raises:
            KselectError: a tracker cannot be started, for want of a login, say.
        """
        self._started: list[GeneralTracker] = []
        if names:
            find_device()  # accelerate's trackers ask the state behind it whether they are in the main process
        for name in names:
            try:
                tracker = LOGGER_TYPE_TO_CLASS[name](**ARGUMENTS[name](folder))
                tracker.start()
                tracker.store_init_configuration(dict(settings))
            except Exception as error:  # each of these libraries has errors of its own
                self.close()
                reason = first_line(error) or type(error).__name__
                raise KselectError(
                    f"The tracker {name} cannot be started ({reason}): set it up, or leave it out of report_to.",
                    setting="report_to",
                ) from error
            self._started.append(tracker)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers by tag at a training step."""
        for tracker in self._started:
            tracker.log(dict(values), step)

    def close(self) -> None:
        """Send what is pending, and end the run in every tracker."""
        for tracker in self._started:
            tracker.finish()
        self._started = []
