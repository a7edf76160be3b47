"""What a study's ledger says of a run: the settings that make it the run it is. A ledger is committed as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kselect.study.ledger import Ledger

__all__ = ["Ledger", "recorded"]

# Settings that change nothing of what a run computes, or stand in an entry by themselves.
APART = ("agent", "agent_settings", "seed", "teacher", "data_dir", "runs_dir", "run_name", "fresh", "checkpoint_every")
APART += ("cache_dir", "teacher_cache", "record", "record_plots")


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by name that tell one kind of run from another."""
    return {name: value for name, value in settings.items() if name not in APART}
