"""A ledger of finished runs: a file of JSON lines, committed, from which a stopped study goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Settings that change nothing of what a run computes, or stand in an entry by themselves.
APART = ("agent", "agent_settings", "seed", "teacher", "data_dir", "runs_dir", "run_name", "fresh", "checkpoint_every")
APART += ("cache_dir", "teacher_cache", "record", "record_plots")


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by name that tell one kind of run from another."""
    return {name: value for name, value in settings.items() if name not in APART}


@dataclass(frozen=True)
class Ledger:
    """The runs in `path`; two of them are the same run where all of `key` is equal."""

    path: Path
    key: tuple[str, ...]

    def entries(self) -> list[dict[str, Any]]:
        """Return all finished runs, in the order they finished."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def holds(self, entry: dict[str, Any]) -> bool:
        """Say whether the run of `entry` has been finished before."""
        return self._identity(entry) in {self._identity(done) for done in self.entries()}

    def append(self, entry: dict[str, Any]) -> None:
        """Add a finished run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _identity(self, entry: dict[str, Any]) -> str:
        return json.dumps([entry[name] for name in self.key], sort_keys=True)
