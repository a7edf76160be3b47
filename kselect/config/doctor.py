"""How many examples the doctor reads."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require

FEWEST = 10
"""The smallest number of examples of a split that a teacher can be examined on."""


@dataclass
class DoctorConfig:
    """Doctor: how many examples are read."""

    examples: int = 300
    """Examples of train, and at most as many of the reward split, that are read."""

    def __post_init__(self) -> None:
        require(self.examples >= FEWEST, f"examples is {self.examples}: give {FEWEST} or more.")
