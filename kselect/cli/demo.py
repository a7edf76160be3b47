"""Show the whole path in minutes, on generated data.

Generates a small suite of tasks, trains a teacher, trains a selection policy, distils students under it
and under baselines, and prints them side by side.

Examples:
  kselect demo
  kselect demo --seed 1 --runs_dir runs/demo
"""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config import DemoConfig

NAME = "demo"


@dataclass
class Settings:
    """What `kselect demo` takes."""

    run: DemoConfig


def run(settings: Settings) -> None:
    """Run the demonstration."""
