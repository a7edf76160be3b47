"""The finished runs of a pool as a compact table: what was selected where, and the scores along the way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kselect.agents.stages import Stages
from kselect.config import TEXT_SOURCES
from kselect.distillation.facts.facts import Facts
from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.runs.run_log import RUNS, Ledger

ARRAYS = ".npz"
RUN = ("condition", "seed", "selection")
"""What a run is found by; a run that was computed again, under other settings, too, takes the place of the former."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        condition: name of the condition.
        task: name of its task.
        stratum: the group of conditions that it is reported with.
        seed: under which data were drawn and models were trained.
        selection: name of the selection.
        stages: the selection as it is in this condition; empty where an agent selected.
        rows: what it weights, in the order of the arrays: the kinds of knowledge on offer, and further texts.
        knowledge: settings of `kselect.config.KnowledgeConfig` that differ from their defaults.
        marks: metrics by share of the run at which they were measured, by split (reward, dev).
        teacher: the metrics of its teacher, by split.
        facts: by name, see `kselect.distillation.facts.facts.Facts`; None where a run has none.
        seconds: wall time of the run, without the making of its teacher.
        constant: the metrics of the constant prediction on dev; None where they were not kept.
    """

    condition: str
    task: str
    stratum: str
    seed: int
    selection: str
    stages: Stages
    rows: tuple[str, ...]
    knowledge: Mapping[str, Any]
    marks: Mapping[float, Mapping[str, Mapping[str, float]]]
    teacher: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, Any] | None
    seconds: float
    constant: Mapping[str, float] | None = None

    @property
    def constant_score(self) -> float:
        """The score of the constant prediction; 0 where it is not known."""
        score = (self.constant or {}).get("score")
        return 0.0 if score is None or math.isnan(score) else float(score)

    def score(self, mark: float, split: str) -> float:
        """Return the task's score at a mark, NaN where it is not defined.

        Raises:
            KselectError: an unknown mark or split.
        """
        if mark not in self.marks or split not in self.marks[mark]:
            known = ", ".join(f"{each:g} ({', '.join(splits)})" for each, splits in self.marks.items())
            raise KselectError(f"This run was evaluated at {known}: not at {mark:g} on {split}.")
        value = self.marks[mark][split]["score"]
        return math.nan if value is None else float(value)

    def read_facts(self) -> Facts:
        """Return the facts of the run.

        Raises:
            KselectError: the run has no facts, or those of another version of kselect.
        """
        try:
            return Facts.from_dict(self.facts or {})
        except (KeyError, TypeError) as error:
            raise KselectError(
                f"The run of {self.selection} in {self.condition} under seed {self.seed} lacks facts ({error}): "
                "collect it again."
            ) from None

    def arrays(self, pool: Path) -> Path:
        """Return the file of its arrays."""
        return folder_of(pool, self.condition, self.seed) / f"{self.selection}{ARRAYS}"


def runs_by_group(runs: Iterable[Run]) -> dict[tuple[str, int], dict[str, Run]]:
    """Return the runs of each condition and seed by their selection, in the order of the first of each.

    Raises:
        KselectError: two runs of one selection in a condition under a seed.
    """
    groups: dict[tuple[str, int], dict[str, Run]] = {}
    for run in runs:
        found = groups.setdefault((run.condition, run.seed), {})
        if run.selection in found:
            raise KselectError(f"The table has {run.selection} twice in {run.condition} under seed {run.seed}.")
        found[run.selection] = run
    return groups


def folder_of(pool: Path, condition: str, seed: int) -> Path:
    """Return the folder of a condition under a seed."""
    return pool / "conditions" / f"{condition}-{seed}"


def read_pool(ledger: str | Path) -> list[Run]:
    """Return the finished runs of a ledger, in the order of their first entries.

    Of several entries of a run, the last finished one counts; runs that only failed are left out. A warning names each
    condition that has changed and of which only some runs were computed again.

    Raises:
        KselectError: the file is missing, or an entry is not of a run of `kselect collect`.
    """
    finished = [entry for entry in _latest(ledger) if "error" not in entry]
    runs = [_run(entry, ledger) for entry in finished]
    _warn_of_changes(finished)
    return runs


def _warn_of_changes(entries: Iterable[Mapping[str, Any]]) -> None:
    """Warn of runs of one condition under one seed whose settings, but for the stratum, differ."""
    conditions: dict[tuple[str, int], Mapping[str, Any]] = {}
    changed: dict[tuple[str, int], None] = {}
    for entry in entries:
        own, group = entry["settings"]["condition"], (entry["condition"], entry["seed"])
        first = conditions.setdefault(group, own)
        if _differ({**own, "stratum": first["stratum"]}, first):
            changed[group] = None
    for condition, seed in changed:
        get_logger().warning(
            "%s under seed %d has runs from before and after its settings changed, which cannot be compared: collect "
            "all of its selections again.",
            condition,
            seed,
        )


def _differ(one: Any, other: Any) -> bool:
    """Return whether settings differ; one that only one side has is younger than the other side, and does not count."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return any(_differ(one[name], other[name]) for name in one.keys() & other.keys())
    return bool(one != other)


def failures(ledger: str | Path) -> int:
    """Return the number of runs that failed and never finished."""
    return sum("error" in entry for entry in _latest(ledger))


def _latest(ledger: str | Path) -> list[dict[str, Any]]:
    if not Path(ledger).is_file():
        raise KselectError(f"{ledger} does not exist: give the {RUNS} of a pool.", setting="ledger")
    return list(Ledger(Path(ledger), RUN).latest().values())


def _run(entry: Mapping[str, Any], ledger: str | Path) -> Run:
    try:
        condition = entry["settings"]["condition"]
        sources = [name for name in entry["examples"] if name in TEXT_SOURCES]
        return Run(
            condition=condition["name"],
            task=condition["task"],
            stratum=condition["stratum"],
            seed=entry["seed"],
            selection=entry["selection"],
            stages=entry["settings"]["stages"] if "agent" not in entry["settings"] else [],
            rows=(*entry["scales"], *sources),
            knowledge=entry["settings"]["knowledge"],
            marks={float(mark): metrics for mark, metrics in entry["marks"].items()},
            teacher=entry["teacher"],
            facts=entry.get("facts"),
            seconds=sum(entry["seconds"].values()),
            constant=entry.get("constant"),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        named = ", ".join(str(entry[name]) for name in RUN)
        raise KselectError(
            f"{ledger} has an entry ({named}) that is not of a collected run ({type(error).__name__}: {error}): "
            "remove it."
        ) from None
