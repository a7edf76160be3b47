"""Ablations in tiny worlds, trained."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kselect.analysis.ablation.levels import conditions, match_smoothing
from kselect.analysis.ablation.report import Explanation, explain
from kselect.analysis.ablation.runs import KEY, run_ablation
from kselect.analysis.ablation.teacher import AblationTeacher, predict_train, profile_ablation_teacher
from kselect.config import AblationConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier
from kselect.runs.run_log import Ledger
from tests.analysis.synthetic import World


def config_of(**settings: Any) -> AblationConfig:
    given: dict[str, Any] = {"temperature": 1.0, "top_k": [], "teacher_cache": 0.0, **settings}
    return AblationConfig(**given)


def matched_in(
    world: World, config: AblationConfig, teacher: Classifier | None = None, seed: int = 0
) -> AblationConfig:
    task = world.task(seed)
    teacher = teacher or world.teacher(task)
    return match_smoothing(config, predict_train(task, teacher, world.training, 64))


def profiled(world: World, config: AblationConfig, teacher: Classifier | None = None, seed: int = 0) -> AblationTeacher:
    """The profile of a world's teacher, or of another, before any training."""
    config, task = matched_in(world, config, teacher, seed), world.task(seed)
    predictions = predict_train(task, teacher or world.teacher(task), world.training, 64)
    return profile_ablation_teacher(world.distiller(seed, config.knowledge(), teacher), config, predictions)


def run_and_explain(world: World, config: AblationConfig, seeds: Sequence[int] = (0, 1, 2)) -> Explanation:
    given, config = config, matched_in(world, config, seed=seeds[0])

    @lru_cache(maxsize=1)
    def distiller_of(seed: int, top_k: float | None) -> Distiller:
        return world.distiller(seed, config.knowledge(top_k))

    classes = len(world.topics.labels)
    levels, teacher = conditions(given, classes), profiled(world, config, seed=seeds[0])
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "runs.jsonl", KEY)
        run_ablation(distiller_of, levels, seeds, config.gold_share, ledger)
        return explain(ledger.entries(), levels, seeds, classes, config.measure, teacher)


def fall_together(explanation: Explanation, *names: str) -> bool:
    """Whether the students of these conditions are the same, seed by seed, but for rounding."""
    first, *others = ([run["metrics"] for run in explanation.runs[name].values()] for name in names)
    return all(
        one[metric] == pytest.approx(other[metric], rel=1e-3, abs=tolerance)
        for same in others
        for one, other in zip(first, same, strict=True)
        for metric, tolerance in (("accuracy", 0.005), ("loss", 0.0))  # a text or two may stand on the edge
    )
