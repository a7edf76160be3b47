"""The runs of an ablation: one student for every condition and seed, in a log from which a stopped one resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kselect.analysis.ablation.levels import Condition
from kselect.config import PhaseConfig
from kselect.distillation.distiller import Distiller
from kselect.knowledge.target_levels import TopK
from kselect.recipes.policies import build_policy
from kselect.runs.run_log import Ledger
from kselect.training.api import rollout
from kselect.training.compatibility import check_losses
from kselect.training.engines import Report
from kselect.training.results import summarise_run
from kselect.training.study import Cell, Study, check_failures

KEY = ("rung", "seed")
"""The fields that identify a run of an ablation."""
NUMBERS = {"metrics": ("score", "loss"), "constant": ("score",), "initial_losses": ()}
"""What is read of a finished run, see `Ledger.numbers`."""

DistillerOf = Callable[[int, float | None], Distiller]
"""Gives the run for a seed and, for a condition of top-k, its share of the classes; the last one may be reused."""


def pending_runs(rungs: Iterable[Condition], seeds: Iterable[int]) -> list[tuple[int, Condition]]:
    """Return the runs to train, all conditions of a seed before the next; those identical to others are left out.

    Those of top-k come last, as what is on offer to each of them is different.
    """
    trained = sorted((rung for rung in rungs if rung.same_as is None), key=lambda rung: rung.top_k or 0.0)
    return [(seed, rung) for seed in seeds for rung in trained]


def ablation_study(
    distiller_of: DistillerOf, rungs: Sequence[Condition], seeds: Sequence[int], gold_share: float, ledger: Ledger
) -> Study:
    """Return the study that trains a student for every condition and seed, all alike but for the targets.

    An entry has the `rung` and the `seed`, and of `summarise_run` the `metrics`, the number of `examples` they are of,
    the `constant` prediction's metrics, the student's `size`, and the `seconds`.
    """
    known = [entry for entry in ledger.latest().values() if entry["seed"] in seeds and "error" not in entry]
    if known:  # refused now, and not after other seeds have been trained
        check_runs(distiller_of(known[0]["seed"], None), known[0]["seed"], known)
    by_name = {rung.name: rung for rung in rungs}

    def train(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
        rung, seed = by_name[settings["rung"]], settings["seed"]
        distiller = distiller_of(seed, rung.top_k)
        check_runs(distiller, seed, (entry for entry in ledger.latest().values() if "error" not in entry))
        setup = build_policy(rung.agent(gold_share), distiller, PhaseConfig("constant"), seed)
        result = rollout(
            setup.agent,
            setup.env,
            seed=seed,
            learning=setup.learning,
            on_phase=lambda record: report(record["step"], distiller.total_steps),
        )
        summary = summarise_run(result, distiller.task, seed=seed)
        entry = {name: summary[name] for name in ("metrics", "size", "examples", "constant", "seconds")}
        return {**entry, "initial_losses": distiller.initial_losses}

    identities = [{"rung": rung.name, "seed": seed} for seed, rung in pending_runs(rungs, seeds)]
    return Study([Cell(identity, identity) for identity in identities], train, ledger)


def run_ablation(
    distiller_of: DistillerOf, rungs: Sequence[Condition], seeds: Sequence[int], gold_share: float, ledger: Ledger
) -> list[dict[str, Any]]:
    """Run an `ablation_study`, and return its entries."""
    return check_failures(ablation_study(distiller_of, rungs, seeds, gold_share, ledger).run())


def check_runs(distiller: Distiller, seed: int, entries: Iterable[Mapping[str, Any]]) -> None:
    """Check that finished runs have the distiller's teacher and data, by the losses before the first step.

    Those of top-k may be of different shares, and are not compared.
    """
    current = {name: loss for name, loss in distiller.initial_losses.items() if name != TopK.name}
    for entry in entries:
        if entry["seed"] == seed:
            saved = {name: loss for name, loss in entry["initial_losses"].items() if name in current}
            check_losses([saved], [current])
