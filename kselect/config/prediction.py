"""Where predictions go."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require


@dataclass
class PredictionConfig:
    """Predictions: where they go."""

    output: str = "predictions"
    """File for the predictions if it ends in .tsv (of words: in anything), else a folder for them."""

    def __post_init__(self) -> None:
        require(bool(self.output), "output is empty: give a file or a folder.")
