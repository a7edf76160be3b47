"""Collect experience: distil students under many conditions, each by many selections.

A suite is a YAML file of tasks, conditions (data, teacher and student) and selections (fixed weights, or stages of
them). Under each seed a condition's data are drawn and its teacher is trained once; then each selection distils a
student, which is evaluated at a quarter, at half and at the end of its run. A stopped collection resumes with the same
command, and a finished one is extended by more conditions, selections or seeds.

Examples:
  kselect collect --suite studies/selecting/suite.yaml --encoder all-MiniLM-L6-v2
  kselect collect --suite suite.yaml --conditions "sst2-*,mrpc-*" --selections gold,all --seeds 0 --processes 2
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from kselect.agents.stages import Stages
from kselect.cli.study_run import retry_hint, run_study
from kselect.collection.runs import collect_run, run_settings, steps_of
from kselect.collection.suite import Condition, Suite, read_suite
from kselect.config import CollectConfig, CollectSettings
from kselect.errors import KselectError, unknown
from kselect.runs.run_log import Ledger
from kselect.tasks.transfer import TRANSFER
from kselect.training.engines import make_engine
from kselect.training.study import Cell, Study, check_failures

RUNS = "runs.jsonl"
KEY = ("condition", "seed", "selection", "settings")
"""What identifies a run in a pool."""


@dataclass(frozen=True)
class PoolFolder:
    """The folder of a pool; see `kselect.cli.study_run.StudyFolder`."""

    path: Path
    resumed: bool
    resume_command: str


def run(settings: CollectSettings, data: None) -> Path:
    """Compute what is missing in the pool, whose folder is returned."""
    config = settings.collection
    suite = read_suite(config.suite)
    pool = Path(config.pool)
    cells = cells_of(suite, config, pool)
    ledger = Ledger(Path(config.ledger or pool / RUNS), KEY)
    study = Study(cells, collect_run, ledger, make_engine(config.processes))
    folder = PoolFolder(pool, ledger.path.exists(), f"kselect collect {' '.join(map(shlex.quote, sys.argv[2:]))}")
    steps = {name: steps_of(condition) for name, condition in suite.conditions.items()}
    entries = run_study(
        study,
        folder,
        f"Collecting {len(cells)} runs",
        lambda cell: steps[cell.identity["condition"]],
    )
    check_failures(entries, retry_hint(folder, ledger.path))
    print(f"pool: {pool}")
    return pool


def cells_of(suite: Suite, config: CollectConfig, pool: Path) -> list[Cell]:
    """Return the runs of a collection: seed by seed, and in each condition those of all selections in a row."""
    conditions = _matching("condition", list(suite.conditions), config.conditions)
    selections = _matching("selection", list(suite.selections), config.selections)
    cells = []
    for seed in config.seeds:
        for condition in map(suite.conditions.__getitem__, conditions):
            place = pool / "conditions" / f"{condition.name}-{seed}"
            for selection in selections:
                stages = stages_in(condition, suite.selections[selection])
                if stages is None:
                    continue
                shared: dict[str, Any] = {
                    "stages": stages,
                    "knowledge": suite.knowledge_values,
                    "encoder": config.encoder,
                    "dev_examples": suite.dev_examples,
                    "teachers": str(pool / "teachers"),
                }
                plain = run_settings(condition, suite.tasks, seed, place, **shared)
                identity = {
                    "condition": condition.name,
                    "seed": seed,
                    "selection": selection,
                    "settings": {name: plain[name] for name in ("condition", "stages", "knowledge")},
                }
                cells.append(Cell(identity, {**plain, "arrays": str(place / f"{selection}.npz")}))
    return cells


def stages_in(condition: Condition, stages: Stages) -> list[dict[str, Any]] | None:
    """Return the stages as they are in a condition; None where they read further texts, and it has none."""
    if condition.unlabelled:
        return [dict(stage) for stage in stages]
    weights = [weights for stage in stages for weights in (stage["weights"], stage.get("to") or {})]
    if any(each.get(TRANSFER, 0) > 0 for each in weights):
        return None
    return [
        {key: without(value) if isinstance(value, dict) else value for key, value in stage.items()} for stage in stages
    ]


def without(weights: dict[str, float]) -> dict[str, float]:
    """Return weights without that of further texts."""
    return {name: weight for name, weight in weights.items() if name != TRANSFER}


def _matching(noun: str, known: list[str], patterns: list[str]) -> list[str]:
    """Return the names that match any of the patterns, in their order."""
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in known):
            if "*" in pattern:
                raise KselectError(f"No {noun} matches {pattern}: give one of {', '.join(known)}.")
            raise unknown(noun, pattern, known)
    return [name for name in known if any(fnmatch(name, pattern) for pattern in patterns)]
