"""Collect experience: distil students under many conditions, each by many selections.

A suite is a YAML file of tasks, conditions (data, teacher and student), selections (fixed weights, or stages of them)
and agents to compare them with. Under each seed a condition's data are drawn and its teacher is trained once; then each
selection distils a student, whose scores are kept at a quarter, at half and at the end of its run. A stopped collection
resumes with the same command, and a finished one is extended by more conditions, selections, agents or seeds. README.md
in the pool says how it was made. With --minari, the runs are written as Minari datasets, too, for offline reinforcement
learning.

Examples:
  kselect collect --suite studies/selecting/texts.yaml --encoder sentence-transformers/all-MiniLM-L6-v2
  kselect collect --suite suite.yaml --conditions "sst2-*,mrpc-*" --selections gold,all --seeds 0 --processes 2
  kselect collect --suite suite.yaml --selections [] --agents "random-*,online"
  kselect collect --suite suite.yaml --minari selecting
  kselect collect --suite suite.yaml --ablate --conditions sst2-weak --plot heat-map.png
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from kselect import io
from kselect.agents.stages import Stages, weights_any
from kselect.cli.console import notice, print_table
from kselect.cli.study_run import retry_hint, run_study
from kselect.collection.card import pool_card
from kselect.collection.conditions import Condition, plain
from kselect.collection.contributions import contributions, rows, save_heat_map
from kselect.collection.minari_datasets import write_datasets
from kselect.collection.runs import collect_run, run_settings, steps_of
from kselect.collection.suite import Suite, matching
from kselect.collection.table import ARRAYS, Run, failures, folder_of, read_pool
from kselect.collection.teachers import check_encoder
from kselect.config import CollectConfig, CollectSettings
from kselect.errors import KselectError
from kselect.runs.provenance import describe
from kselect.runs.run_log import RUNS, Ledger
from kselect.tasks.transfer import TRANSFER
from kselect.training.engines import make_engine
from kselect.training.study import Cell, Study, check_failures

KEY = ("condition", "seed", "selection", "settings")
"""What identifies a run in a pool."""


@dataclass(frozen=True)
class PoolFolder:
    """The folder of a pool; see `kselect.cli.study_run.StudyFolder`."""

    path: Path
    resumed: bool
    resume_command: str


def run(settings: CollectSettings, data: Suite) -> Path:
    """Compute what is missing in the pool, whose folder is returned."""
    config, suite = settings.collection, data
    pool = Path(config.pool)
    cells = cells_of(suite, config, pool)
    if not cells:
        raise KselectError("Every selection reads further texts, which none of the conditions has: give others.")
    check_encoder(pool, config.encoder)
    ledger = Ledger(Path(config.ledger or pool / RUNS), KEY)
    study = Study(cells, collect_run, ledger, make_engine(settings.engine))
    command = command_of(settings)
    folder = PoolFolder(pool, ledger.path.exists(), command)
    steps = {name: steps_of(condition) for name, condition in suite.conditions.items()}
    title = f"Collecting {len(cells)} runs"
    entries = run_study(study, folder, title, lambda cell: steps[cell.identity["condition"]])
    runs = read_pool(ledger.path)
    card = pool_card(runs, failures(ledger.path), config, command, describe(config.seeds))
    io.write_text(pool / "README.md", card)
    check_failures(entries, retry_hint(folder, ledger.path))
    if config.ablate:
        _report_contributions(runs, config)
    print(f"pool: {pool}")
    if config.minari is not None:
        _write_minari(runs, pool, config.minari)
    return pool


def command_of(settings: CollectSettings) -> str:
    """Return the command line of these settings, those at their defaults left out."""
    words = ["kselect", "collect"]
    for group in vars(settings).values():
        for member in fields(group):
            value = getattr(group, member.name)
            default = member.default_factory() if callable(member.default_factory) else member.default
            if value != default:
                if isinstance(value, list) and value:
                    value = ",".join(map(str, value))
                words += [f"--{member.name}", value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)


def _report_contributions(runs: Sequence[Run], config: CollectConfig) -> None:
    """Print what each kind of knowledge adds in the chosen conditions, under the chosen seeds, and draw it."""
    chosen = [
        run
        for run in runs
        if run.seed in config.seeds and any(fnmatch(run.condition, pattern) for pattern in config.conditions)
    ]
    found = contributions(chosen)
    print_table("What each kind of knowledge adds, in points", *rows(found))
    if config.plot is not None:
        save_heat_map(found, Path(config.plot))


def _write_minari(runs: Sequence[Run], pool: Path, name: str) -> None:
    """Write the runs whose arrays are in the pool as Minari datasets."""
    here = [run for run in runs if run.arrays(pool).is_file()]
    if len(here) < len(runs):
        notice(f"{len(runs) - len(here)} runs of the ledger have no arrays in {pool}, and are not in Minari datasets.")
    for dataset, episodes in write_datasets(here, pool, name).items():
        print(f"minari: {dataset} ({episodes} episodes)")


def cells_of(suite: Suite, config: CollectConfig, pool: Path) -> list[Cell]:
    """Return the runs of a collection: seed by seed, and in each condition those of all selections in a row."""
    conditions = matching("condition", suite.conditions, config.conditions)
    cells = []
    for seed in config.seeds:
        for condition in map(suite.conditions.__getitem__, conditions):
            place = folder_of(pool, condition.name, seed)
            shared: dict[str, Any] = {
                "knowledge": suite.knowledge.changed(),
                "encoder": config.encoder,
                "dev_examples": suite.dev_examples,
                "teachers": str(pool / "teachers"),
            }
            settings = run_settings(condition, suite.tasks, seed, place, **shared)
            for name, own in {**_stages_by_name(suite, config, condition), **_agents_by_name(suite, config)}.items():
                identity = {
                    "condition": condition.name,
                    "seed": seed,
                    "selection": name,
                    "settings": {"condition": settings["condition"], **own, "knowledge": settings["knowledge"]},
                }
                cells.append(Cell(identity, {**settings, **own, "arrays": str(place / f"{name}{ARRAYS}")}))
    return cells


def _stages_by_name(suite: Suite, config: CollectConfig, condition: Condition) -> dict[str, dict[str, Any]]:
    names = matching("selection", suite.selections, config.selections)
    found = {name: stages_in(condition, suite.selections[name]) for name in names}
    return {name: {"stages": stages} for name, stages in found.items() if stages is not None}


def _agents_by_name(suite: Suite, config: CollectConfig) -> dict[str, dict[str, Any]]:
    return {name: {"agent": plain(suite.agents[name])} for name in matching("agent", suite.agents, config.agents)}


def stages_in(condition: Condition, stages: Stages) -> list[dict[str, Any]] | None:
    """Return the stages as they are in a condition; None where they read further texts, and it has none."""
    if condition.unlabelled:
        return [dict(stage) for stage in stages]
    if weights_any(stages, TRANSFER):
        return None
    return [
        {key: _without_texts(value) if isinstance(value, dict) else value for key, value in stage.items()}
        for stage in stages
    ]


def _without_texts(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in weights.items() if name != TRANSFER}
