"""A split that is only reported: read when it is asked for, and by nothing before."""

from __future__ import annotations

import pytest

import kselect
from kselect.agents.registry import make_agent
from kselect.distillation.distiller import Distiller
from kselect.envs.distillation import DistillationEnv
from kselect.tasks.task import TextTask
from tests.tiny import tiny_distiller, tiny_task


def distiller_with(extra: str) -> Distiller:
    task = tiny_task()
    splits = {**task.splits, extra: task.splits["dev"].take(range(0, 40, 2))}
    return tiny_distiller(
        {"knowledge": ["gold"]}, task=TextTask(task.name, task.labels, splits, task.metrics), epochs=0.5
    )


def test_encoded_splits_encode_reported_splits_on_first_use() -> None:
    distiller = distiller_with("dev_hard")
    assert set(distiller.truncated) == {"train", "reward", "dev"}
    assert distiller.evaluate("dev_hard").examples == 20
    assert set(distiller.truncated) == {"train", "reward", "dev", "dev_hard"}


def test_rollout_reports_further_splits() -> None:
    distiller = distiller_with("dev_hard")
    env = DistillationEnv(distiller)
    agent = make_agent("fixed", env.observation_space, env.action_space, distiller.names, weights={"gold": 1})
    result = kselect.rollout(agent, env)
    for split, prefix in {"dev": "", "dev_hard": "hard/"}.items():
        again = distiller.evaluate(split)
        for name, value in {**again.metrics, "loss": again.loss}.items():
            assert result.metrics[prefix + name] == pytest.approx(value)
    assert len(result.metrics) == 6
