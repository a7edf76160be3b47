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
from kselect.training.api import evaluated
from kselect.training.compatibility import check_losses
from kselect.training.results import summarise_run
from kselect.training.runner import EpisodeRunner, OnPhase

KEY = ("rung", "seed")
"""The fields that identify a run of an ablation."""

DistillerOf = Callable[[int, float | None], Distiller]
"""Gives the run for a seed and, for a rung of top-k, its share of the classes; what came before may be reused."""


def pending_runs(rungs: Iterable[Condition], seeds: Iterable[int]) -> list[tuple[int, Condition]]:
    """Return the runs to train, all conditions of a seed before the next; those identical to others are left out.

    Those of top-k come last, as what is on offer to each of them is different.
    """
    trained = sorted((rung for rung in rungs if rung.same_as is None), key=lambda rung: rung.top_k or 0.0)
    return [(seed, rung) for seed in seeds for rung in trained]


def run_ablation(
    distiller_of: DistillerOf,
    rungs: Sequence[Condition],
    seeds: Sequence[int],
    gold_share: float,
    ledger: Ledger,
    on_phase: OnPhase | None = None,
    on_run: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Train what the ledger lacks, each student alike but for what it is taught, and add it.

    An entry has the `rung` and the `seed`, and of `summarise_run` the `metrics`, how many `examples` they are of, what
    the `constant` prediction earns, and the `seconds`.

    Args:
        distiller_of: gives the run for a seed and a share of top-k.
        rungs: of the ablation; see `levels.conditions`.
        seeds: one repetition each.
        gold_share: of gold labels in the loss of every student but the fine-tuned one.
        ledger: under `KEY`.
        on_phase: called after each phase with its record.
        on_run: called after each run with its entry.

    Raises:
        KselectError: teacher or data are not those of the runs in the ledger.
    """
    known = [entry["seed"] for entry in ledger.entries() if entry["seed"] in seeds]
    if known:  # told now, and not after seeds that the ledger has nothing of
        check_runs(distiller_of(known[0], None), known[0], ledger.entries())
    for seed, rung in pending_runs(rungs, seeds):
        if ledger.holds({"rung": rung.name, "seed": seed}):
            continue
        distiller = distiller_of(seed, rung.top_k)
        check_runs(distiller, seed, ledger.entries())
        setup = build_policy(rung.agent(gold_share), distiller, PhaseConfig("constant"), seed)
        runner = EpisodeRunner(setup.agent, [setup.env], seeds=[seed], learning=setup.learning)
        result = evaluated(runner.run(on_phase)[0], setup.env)
        told = summarise_run(result, distiller.task, seed=seed)
        entry = {"rung": rung.name, **{name: told[name] for name in ("seed", "metrics", "examples", "constant")}}
        entry |= {"seconds": told["seconds"], "initial_losses": distiller.initial_losses}
        ledger.append(entry)
        if on_run is not None:
            on_run(entry)


def check_runs(distiller: Distiller, seed: int, entries: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to go on with runs of another teacher or other data, told by the losses before the first step.

    Those of top-k may be of different shares, and are not compared.

    Raises:
        KselectError: those of this seed began with other losses than the distiller, which is of it.
    """
    now = {name: loss for name, loss in distiller.initial_losses.items() if name != TopK.name}
    for entry in entries:
        if entry["seed"] == seed:
            then = {name: loss for name, loss in entry["initial_losses"].items() if name in now}
            check_losses([then], [now])
