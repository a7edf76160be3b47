"""How closely a teacher is looked at before any training."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require

FEWEST = 10
"""Examples of a split that a teacher can be judged by at all."""


@dataclass
class DoctorConfig:
    """Doctor: how much is looked at, and what came of earlier advice."""

    examples: int = 300
    """Examples of train, and at most as many of the reward split, that are looked at."""
    outcomes: str | None = None
    """Scores of finished students to hold the advice against: a folder of runs, a file of JSON lines such as
    results.json, or a JSON file with lists of scores by knowledge or agent."""

    def __post_init__(self) -> None:
        require(self.examples >= FEWEST, f"examples is {self.examples}: give {FEWEST} or more.")
        require(self.outcomes != "", "outcomes is empty: give a folder of runs, or a JSON file.")
