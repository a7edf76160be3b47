"""What is kept of every example."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require


@dataclass
class RecordingConfig:
    """Recording: what is kept of every example, to see why a distillation works (see docs/insight.md)."""

    record: bool = False
    """Write down how sure both models are of each example, and how its gradient is rescaled, at every training step."""
    record_plots: bool = False
    """Draw the recording, too, which takes matplotlib."""

    def __post_init__(self) -> None:
        require(self.record or not self.record_plots, "record_plots draws a recording: give --record, too.")
