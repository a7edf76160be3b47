"""TensorBoard events of one run, all in one file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

# The tab "Custom scalars" draws each of these groups in one chart, however many knowledge types a run has.
LAYOUT = {
    "Selection": {"weight by kind of knowledge": ["Multiline", [r"selection/.+"]]},
    "Losses": {"loss by kind of knowledge": ["Multiline", [r"loss/.+"]]},
    "Reward": {"reward of each phase": ["Multiline", [r"reward/.+"]]},
    "Cost": {"share of wall time": ["Multiline", [r"cost/.+"]]},
}


class EventLog:
    """Scalars by step, their layout, and the settings with the final metrics."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        """Write into `folder`; from `purge_step` on, readers forget what earlier files of the run say."""
        if purge_step is not None:
            _wait_for_later_name(folder)
        self._writer = SummaryWriter(str(folder), purge_step=purge_step)
        if purge_step is None:
            self._writer.add_custom_scalars(LAYOUT)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write one scalar a tag at a training step."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()

    def histograms(self, values: Mapping[str, NDArray[Any]], step: int) -> None:
        """Write one histogram a tag at a training step, of values `[n]`."""
        for tag, column in values.items():
            self._writer.add_histogram(tag, column, step)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write a page of Markdown, as the tab "Text" shows it."""
        self._writer.add_text(tag, markdown, step)
        self._writer.flush()

    def outcome(self, settings: Mapping[str, Any], metrics: Mapping[str, float], step: int = 0) -> None:
        """Write final metrics as scalars `result/<name>` and with the settings in the tab "HParams".

        `SummaryWriter.add_hparams` would open a second run in a sub-folder; writing its three summaries here
        keeps everything in this file.
        """
        results = {f"result/{name}": float(value) for name, value in metrics.items()}
        shown = {name: _shown(value) for name, value in settings.items()}
        writer = self._writer._get_file_writer()
        for summary in hparams(shown, results):
            writer.add_summary(summary)
        self.scalars(results, step)

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._writer.close()


def _wait_for_later_name(folder: Path) -> None:
    """Wait until a new name sorts after those there: readers go by names, which begin with the second of making."""
    made = [int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")]
    time.sleep(min(max(max(made, default=0) + 1 - time.time(), 0.0), 1.0))


def _shown(value: Any) -> bool | int | float | str:
    """A setting in one of the types that the tab can sort and filter by."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
