"""TensorBoard events of one run: scalars, images, texts, and what the tabs HParams and Custom Scalars show."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

HPARAMS = {
    "agent": "",
    "task": "",
    "seed": 0,
    "layers": "",
    "knowledge": "",
    "teacher": "",
    "learning_rate": 0.0,
    "epochs": 0.0,
}
"""The columns of settings in the tab HParams, with a value of each type."""
METRICS = ("score", "loss", "parameters")
"""The columns of results there. TensorBoard takes its columns from the first run that it meets in a folder: they must
be the same in runs of all commands, and few enough to be read."""

SAVED = ("policy", "model", "student")
"""Folders of a run that hold what it saved."""


def _chart(*tags: str) -> list[Any]:
    return ["Multiline", list(tags)]


# Quantities of different sizes have charts of their own. TensorBoard matches these expressions at the start of a tag.
LAYOUT = {
    "Selection": {
        "weight by kind of knowledge": _chart(r"selection/.+"),
        "preference of the policy": _chart(r"preference/.+"),
    },
    "Losses": {
        "loss relative to its start": _chart(r"relative_loss/.+"),
        "loss, unscaled": _chart(r"loss/.+"),
    },
    "Reward": {
        "reward of each phase": _chart(r"reward/phase$"),
        "sum of rewards": _chart(r"reward/total$"),
        "loss on the reward split": _chart(r"reward/loss$"),
    },
    "Policy": {
        "value of the state": _chart(r"agent/value$"),
        "advantage of the decision": _chart(r"agent/advantage$"),
        "state: context": _chart(r"state/[^/]+$"),
        "state: relative losses": _chart(r"state/relative_loss/.+"),
    },
    "Episodes": {
        "return": _chart(r"episode/return$"),
        "share of each kind of knowledge": _chart(r"episode/share_.+"),
    },
    "Cost": {"share of wall time": _chart(r"cost/.+")},
}


class EventLog:
    """Events of one run, all in one file."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`, which is made if need be; readers forget what earlier files there say.

        Those are not deleted, since a TensorBoard that is running would go on waiting for them to grow.
        """
        made = [int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")]
        if made:  # readers go by names, which begin with the second of making
            time.sleep(min(max(max(made) + 1 - time.time(), 0.0), 1.0))
        # The beginning of a session has readers forget the one before: the first, too, as they ignore the first that
        # they meet.
        self._writer = SummaryWriter(str(folder), purge_step=0)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Write the layout of the custom scalars, and a row of the tab HParams with the settings in `HPARAMS`."""
        self._writer.add_custom_scalars(LAYOUT)
        experiment, _, _ = hparams(HPARAMS, {f"result/{name}": 0.0 for name in METRICS})
        shown = {name: _shown(name, settings[name]) for name in HPARAMS if settings.get(name) is not None}
        _, session, _ = hparams(shown, {})
        for summary in (experiment, session):
            self._writer._get_file_writer().add_summary(summary)

    def end(self) -> None:
        """Write that the run is finished."""
        _, _, end = hparams({}, {})
        self._writer._get_file_writer().add_summary(end)
        self._writer.flush()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write one scalar a tag at a training step; those that are no number are left out."""
        for tag, value in values.items():
            if math.isfinite(value):
                self._writer.add_scalar(tag, value, step)
        self._writer.flush()

    def histograms(self, values: Mapping[str, NDArray[Any]], step: int) -> None:
        """Write one histogram a tag at a training step, of values `[n]`."""
        for tag, column in values.items():
            self._writer.add_histogram(tag, column, step)

    def image(self, tag: str, image: NDArray[Any], step: int) -> None:
        """Write an image `[height, width, 3]` of uint8."""
        self._writer.add_image(tag, image, step, dataformats="HWC")
        self._writer.flush()

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write a page of Markdown, as the tab "Text" shows it."""
        self._writer.add_text(tag, markdown, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._writer.close()


def _shown(name: str, value: Any) -> float | str:
    """Return a setting in the type of its column, and a saved policy or model by its run: columns are narrow."""
    if isinstance(HPARAMS[name], int | float):
        return float(value)
    return ", ".join(map(_short, map(str, value if isinstance(value, list) else [value])))


def _short(name: str) -> str:
    path = Path(name)
    return path.parent.name or name if path.name in SAVED and path.is_dir() else name
