"""Learning rates against the schedules of transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import get_scheduler

from kselect.config import TrainingConfig
from kselect.distillation.learning_rate import LearningRate
from kselect.errors import KselectError

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine_with_restarts", {"num_cycles": 2}),
    ("polynomial", {"power": 2.0, "lr_end": 1e-5}),
    ("constant", {}),
    ("constant_with_warmup", {}),
    ("inverse_sqrt", {"timescale": 3}),
    ("cosine_with_min_lr", {"min_lr": 1e-4}),
    ("warmup_stable_decay", {"num_decay_steps": 5}),
]


@pytest.mark.parametrize(("total", "warmup"), [(100, 0.1), (7, 0.0), (20, 0.5)])
@pytest.mark.parametrize(("name", "kwargs"), SCHEDULES)
def test_learning_rates_are_those_of_transformers(name: Any, kwargs: dict[str, Any], total: int, warmup: float) -> None:
    config = TrainingConfig(learning_rate=2e-3, warmup=warmup, lr_scheduler_type=name, lr_scheduler_kwargs=kwargs)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=2e-3)
    steps = 0 if name == "constant" else round(warmup * total)
    scheduler = get_scheduler(name, optimizer, steps, total, scheduler_specific_kwargs=dict(kwargs))
    rate = LearningRate(config, total)
    for step in range(total):
        # The first step of a warm-up is taken at 1/n here, and at 0, that is not at all, there.
        expected = 2e-3 * (step + 1) / steps if step < steps else scheduler.get_last_lr()[0]
        assert rate(step) == pytest.approx(expected, rel=1e-12, abs=1e-15)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("cosine", {"cycles": 2}), ("polynomial", {"lr_end": 1.0}), ("warmup_stable_decay", {})],
)
def test_arguments_that_a_schedule_does_not_take_are_refused(name: Any, kwargs: dict[str, Any]) -> None:
    config = TrainingConfig(lr_scheduler_type=name, lr_scheduler_kwargs=kwargs)
    with pytest.raises(KselectError, match=f"lr_scheduler_kwargs do not suit the schedule {name}"):
        LearningRate(config, 10)


def test_a_schedule_that_transformers_lacks_is_refused() -> None:
    with pytest.raises(KselectError, match="lr_scheduler_type"):
        TrainingConfig(lr_scheduler_type="cosin")  # type: ignore[arg-type]
