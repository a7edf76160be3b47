from __future__ import annotations

from pathlib import Path

import pytest

from kselect.analysis.ablation.levels import conditions
from kselect.analysis.ablation.report import explain
from kselect.analysis.ablation.runs import KEY, ablation_study, pending_runs, run_ablation
from kselect.config import AblationConfig
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.runs.run_log import Ledger
from tests.analysis.synthetic import SIMILARITY, World
from tests.analysis.worlds import config_of, examined

SHORT = SIMILARITY.shortened(1)
CONFIG = config_of(top_k=[0.1, 0.5], label_smoothing=0.1, similarity_mass=0.1)


class Made:
    """Gives distillers, and counts what each was asked for."""

    def __init__(self, world: World = SHORT, config: AblationConfig = CONFIG) -> None:
        self.world, self.config, self.asked = world, config, []

    def __call__(self, seed: int, top_k: float | None) -> Distiller:
        self.asked.append((seed, top_k))
        return self.world.distiller(seed, self.config.knowledge(top_k))


def test_all_rungs_of_a_seed_come_before_the_next_and_top_k_last() -> None:
    order = [(seed, rung.name) for seed, rung in pending_runs(conditions(CONFIG, 20), [3, 1])]
    names = ["fine-tune", "label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd", "kd-top-2", "kd-top-10"]
    assert order == [(seed, name) for seed in (3, 1) for name in names]
    two = [rung.name for _, rung in pending_runs(conditions(CONFIG, 2), [0])]
    assert two == ["fine-tune", "label-smoothing", "kd-sim", "kd"]


def test_what_is_in_the_ledger_is_not_trained_again(tmp_path: Path) -> None:
    rungs = [rung for rung in conditions(CONFIG, 20) if rung.name in ("fine-tune", "kd-pt", "kd-top-2")]
    ledger, whole = Ledger(tmp_path / "runs.jsonl", KEY), Ledger(tmp_path / "whole.jsonl", KEY)
    run_ablation(Made(), rungs, [0, 1], 0.5, whole)
    run_ablation(Made(), rungs[:1], [0], 0.5, ledger)
    made, trained = Made(), []
    study = ablation_study(made, rungs, [0, 1], 0.5, ledger)
    study.run(on_entry=lambda entry: trained.append((entry["rung"], entry["seed"])))
    assert made.asked == [(0, None), (0, None), (0, 0.1), (1, None), (1, None), (1, 0.1)]
    assert trained == [("kd-pt", 0), ("kd-top-2", 0), ("fine-tune", 1), ("kd-pt", 1), ("kd-top-2", 1)]
    timed = [{**entry, "seconds": 0} for entry in ledger.entries()]
    assert timed == [{**entry, "seconds": 0} for entry in whole.entries()]


def test_another_teacher_is_refused(tmp_path: Path) -> None:
    rungs, ledger = conditions(CONFIG, 20), Ledger(tmp_path / "runs.jsonl", KEY)
    run_ablation(Made(), rungs[:1], [0], 0.5, ledger)
    with pytest.raises(KselectError, match="teacher or data have changed, since the loss of kd-pt"):
        run_ablation(Made(SHORT.sharpened(3)), rungs, [0], 0.5, ledger)
    with pytest.raises(KselectError, match="teacher or data have changed"):  # before a seed of its own is trained
        run_ablation(Made(SHORT.sharpened(3)), rungs[:1], [1, 0], 0.5, ledger)
    assert [entry["seed"] for entry in ledger.entries()] == [0]


def test_a_rung_that_is_another_has_its_students(tmp_path: Path) -> None:
    config = config_of(top_k=[1.0], label_smoothing=0.0)
    rungs, ledger = conditions(config, 20), Ledger(tmp_path / "runs.jsonl", KEY)
    made = Made(config=config)
    run_ablation(made, rungs, [0], 0.5, ledger)
    found = explain(ledger.entries(), rungs, [0], 20, "score", examined(SHORT, config))
    assert found.runs["kd-top-20"] == found.runs["kd"]
    assert found.runs["label-smoothing"] == found.runs["fine-tune"]
    assert found.decomposition.gains["label-smoothing"].mean == 0.0
