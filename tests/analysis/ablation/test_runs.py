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
from tests.analysis.worlds import config_of, profiled

SHORT = SIMILARITY.shortened(1)
CONFIG = config_of(top_k=[0.1, 0.5], label_smoothing=0.1, similarity_mass=0.1)


class Distillers:
    """Creates distillers, and records the arguments."""

    def __init__(self, world: World = SHORT, config: AblationConfig = CONFIG) -> None:
        self.world, self.config = world, config
        self.asked: list[tuple[int, float | None]] = []

    def __call__(self, seed: int, top_k: float | None) -> Distiller:
        self.asked.append((seed, top_k))
        return self.world.distiller(seed, self.config.knowledge(top_k))


def test_pending_runs_are_ordered_by_seed_with_top_k_last() -> None:
    order = [(seed, condition.name) for seed, condition in pending_runs(conditions(CONFIG, 20), [3, 1])]
    names = ["fine-tune", "label-smoothing", "kd-sim", "kd-pt", "kd-pt-sim", "kd", "kd-top-2", "kd-top-10"]
    assert order == [(seed, name) for seed in (3, 1) for name in names]
    two = [condition.name for _, condition in pending_runs(conditions(CONFIG, 2), [0])]
    assert two == ["fine-tune", "label-smoothing", "kd-sim", "kd"]


def test_run_ablation_does_not_repeat_finished_runs(tmp_path: Path) -> None:
    levels = [condition for condition in conditions(CONFIG, 20) if condition.name in ("fine-tune", "kd-pt", "kd-top-2")]
    ledger, whole = Ledger(tmp_path / "runs.jsonl", KEY), Ledger(tmp_path / "whole.jsonl", KEY)
    run_ablation(Distillers(), levels, [0, 1], 0.5, whole)
    run_ablation(Distillers(), levels[:1], [0], 0.5, ledger)
    distillers, trained = Distillers(), []
    study = ablation_study(distillers, levels, [0, 1], 0.5, ledger)
    study.run(on_entry=lambda entry: trained.append((entry["rung"], entry["seed"])))
    assert distillers.asked == [(0, None), (0, None), (0, 0.1), (1, None), (1, None), (1, 0.1)]
    assert trained == [("kd-pt", 0), ("kd-top-2", 0), ("fine-tune", 1), ("kd-pt", 1), ("kd-top-2", 1)]
    timed = [{**entry, "seconds": 0} for entry in ledger.entries()]
    assert timed == [{**entry, "seconds": 0} for entry in whole.entries()]


def test_run_ablation_refuses_another_teacher(tmp_path: Path) -> None:
    levels, ledger = conditions(CONFIG, 20), Ledger(tmp_path / "runs.jsonl", KEY)
    run_ablation(Distillers(), levels[:1], [0], 0.5, ledger)
    with pytest.raises(KselectError, match="teacher or data have changed, since the loss of kd-pt"):
        run_ablation(Distillers(SHORT.sharpened(3)), levels, [0], 0.5, ledger)
    with pytest.raises(KselectError, match="teacher or data have changed"):  # before a seed of its own is trained
        run_ablation(Distillers(SHORT.sharpened(3)), levels[:1], [1, 0], 0.5, ledger)
    assert [entry["seed"] for entry in ledger.entries()] == [0]


def test_explain_shares_the_students_of_identical_conditions(tmp_path: Path) -> None:
    config = config_of(top_k=[1.0], label_smoothing=0.0)
    levels, ledger = conditions(config, 20), Ledger(tmp_path / "runs.jsonl", KEY)
    distillers = Distillers(config=config)
    run_ablation(distillers, levels, [0], 0.5, ledger)
    found = explain(ledger.entries(), levels, [0], 20, "score", profiled(SHORT, config))
    assert found.runs["kd-top-20"] == found.runs["kd"]
    assert found.runs["label-smoothing"] == found.runs["fine-tune"]
    assert found.decomposition.gains["label-smoothing"].mean == 0.0
