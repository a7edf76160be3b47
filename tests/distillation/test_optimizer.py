from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from kselect.distillation.optimizer import learning_rate_factor, make_optimizer


@pytest.mark.parametrize(("total", "warmup"), [(100, 0.1), (7, 0.0), (20, 0.5)])
def test_learning_rate_is_the_fields_own_one_step_on_in_the_warm_up(total: int, warmup: float) -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    warmup_steps = round(warmup * total)
    reference = get_linear_schedule_with_warmup(optimizer, warmup_steps, total).lr_lambdas[0]
    for step in range(total):
        # The first step of a warm-up is taken at 1/n here, and at 0, that is not at all, there.
        theirs = reference(step + 1) if step < warmup_steps else reference(step)
        assert learning_rate_factor(step, total, warmup) == pytest.approx(theirs)


def test_biases_and_norms_do_not_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    decayed, spared = make_optimizer(model, 1e-3, 0.1).param_groups
    assert decayed["weight_decay"] == 0.1
    assert decayed["params"] == [model[0].weight]
    assert spared["weight_decay"] == 0.0
    assert len(spared["params"]) == 3
