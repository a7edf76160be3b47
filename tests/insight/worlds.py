"""Ladders of tiny worlds, climbed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kselect.config import LadderConfig
from kselect.distillation.distiller import Distiller
from kselect.insight.climb import KEY, climb
from kselect.insight.explanation import Explanation, explain
from kselect.insight.ladder import ladder
from kselect.insight.synthetic import World
from kselect.insight.teacher import read_teacher
from kselect.study.ledger import Ledger


def config_of(**settings: object) -> LadderConfig:
    return LadderConfig(**{"temperature": 1.0, "top_k": [], "teacher_cache": 0.0, **settings})


def climbed(world: World, config: LadderConfig, seeds: Sequence[int] = (0, 1, 2)) -> Explanation:
    @lru_cache(maxsize=1)
    def distiller_of(seed: int, top_k: float | None) -> Distiller:
        return world.distiller(seed, config.knowledge(top_k))

    classes = len(world.topics.labels)
    rungs, teacher = ladder(config, classes), read_teacher(distiller_of(seeds[0], None), config)
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "runs.jsonl", KEY)
        climb(distiller_of, rungs, seeds, config.gold_share, ledger)
        return explain(ledger.entries(), rungs, seeds, classes, config.measure, teacher)


def fall_together(explanation: Explanation, *names: str) -> bool:
    """Whether the students of these rungs are the same, seed by seed, but for rounding."""
    first, *others = ([run["metrics"] for run in explanation.runs[name].values()] for name in names)
    return all(
        one[metric] == pytest.approx(other[metric], rel=1e-3, abs=tolerance)
        for same in others
        for one, other in zip(first, same, strict=True)
        for metric, tolerance in (("accuracy", 0.005), ("loss", 0.0))  # a text or two may stand on the edge
    )
