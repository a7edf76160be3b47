"""What a study's ledger says of a run: the settings that make it the run it is. A ledger is committed as it grows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from kselect.errors import KselectError
from kselect.runs.run_log import Ledger

__all__ = ["Ledger", "recorded", "with_one_line"]

# Settings that change nothing of what a run computes, or stand in an entry by themselves.
APART = ("agent", "agent_settings", "seed", "teacher", "data_dir", "runs_dir", "run_name", "fresh", "checkpoint_every")
APART += ("cache_dir", "teacher_cache", "record", "record_plots")


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by name that tell one kind of run from another."""
    return {name: value for name, value in settings.items() if name not in APART}


def with_one_line(act: Callable[[], None]) -> None:
    """Do something; where what was given is at fault, end with one line and exit code 2, as kselect's commands do."""
    try:
        act()
    except KselectError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
