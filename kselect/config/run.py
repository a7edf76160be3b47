"""Chance, and where results go."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require


@dataclass
class DemoConfig:
    """Run: chance, and where results go."""

    seed: int = 0
    """Seed of everything random in this run, the splits apart."""
    runs_dir: str = "runs"
    """Folder that holds the run folders."""

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, f"seed is {self.seed}: give 0 or more, below 2147483648.")


@dataclass
class FolderConfig(DemoConfig):
    """Run: chance, and where results go."""

    run_name: str | None = None
    """Name of this run's folder; <task>-<agent>-<seed>-<time> by default."""
    fresh: bool = False
    """Start over, and set aside the unfinished run that would be gone on with, or what the folder run_name holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.run_name is None or (not set(self.run_name) & set("/\\") and self.run_name not in ("", ".", "..")),
            f"run_name is '{self.run_name}': give a plain name, and the folder above it as runs_dir.",
        )


@dataclass
class RunConfig(FolderConfig):
    """Run: chance, and where results go."""

    checkpoint_every: float = 30.0
    """Seconds from one checkpoint to the next, each at the end of a phase; 0 makes one after every phase."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.checkpoint_every >= 0,
            f"checkpoint_every is {self.checkpoint_every}: give seconds, or 0 for every phase.",
        )
