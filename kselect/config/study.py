"""Chance in runs that are compared, and where they go."""

from __future__ import annotations

from dataclasses import dataclass, field

from kselect.config.checks import require
from kselect.config.run import RunConfig


@dataclass
class StudyConfig:
    """Run: chance, and where results go."""

    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    """Seeds of everything random in the runs that are compared, the splits apart: each repeats all of them once."""
    runs_dir: str = "runs"
    """Folder that holds the run folders."""
    run_name: str | None = None
    """Name of the folder of all these runs; <task>-<command>-<seeds>-<time> by default."""
    fresh: bool = False
    """Start over, and set aside the unfinished folder that would be gone on with, or what the folder run_name holds."""

    def __post_init__(self) -> None:
        require(len(self.seeds) > 0, "seeds is empty: give one, or better several, such as 0,1,2.")
        require(len(set(self.seeds)) == len(self.seeds), f"seeds names one twice: {', '.join(map(str, self.seeds))}.")
        for seed in self.seeds:
            RunConfig(seed, self.runs_dir, self.run_name)
