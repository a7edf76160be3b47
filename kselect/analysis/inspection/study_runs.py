"""The runs of a comparison that an inspection reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kselect.config.comparison import TEACHER
from kselect.errors import KselectError
from kselect.runs.run_log import RUNS, Ledger
from kselect.training.comparison import KEY, NUMBERS

Entry = Mapping[str, Any]


def read_study(path: Path) -> dict[str, dict[str, list[Entry]]]:
    """Return the finished runs of a comparison by task and agent, without the teachers'.

    Raises:
        KselectError: a ledger of other runs, none that finished, or a damaged one.
    """
    if not all("label" in entry for entry in Ledger(path / RUNS, ()).entries()):
        raise KselectError(f"{path} holds no comparison of agents: give the folder of one, or of a run.")
    entries = Ledger(path / RUNS, KEY, NUMBERS).latest().values()
    runs: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        if "error" not in entry and entry["label"] != TEACHER:
            runs.setdefault(entry["task"], {}).setdefault(entry["label"], []).append(entry)
    if not runs:
        raise KselectError(f"{path} has no finished run yet: inspect it once one is.")
    return runs
