from __future__ import annotations

import torch
from torch import Tensor, nn

from kselect.distillation.optimizer import StudentOptimizer, make_optimizer

DEVICE = torch.device("cpu")
YES, NO = torch.tensor(True), torch.tensor(False)


def test_make_optimizer_does_not_decay_biases_and_norms() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    decayed, spared = make_optimizer(model, 1e-3, 0.1).param_groups
    assert decayed["weight_decay"] == 0.1
    assert decayed["params"] == [model[0].weight]
    assert spared["weight_decay"] == 0.0
    assert len(spared["params"]) == 3


def model() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 2)


def give_gradients(module: nn.Module, value: float) -> None:
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, value)


def values(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_student_optimizer_finite_steps_equal_adamw() -> None:
    ours, theirs = model(), model()
    updater, adamw = StudentOptimizer(ours, 1.0, 0.1, DEVICE), make_optimizer(theirs, 1.0, 0.1)
    for step in range(3):
        for module in (ours, theirs):
            give_gradients(module, 0.5 - step)
        updater.step(0.1 * (step + 1), YES)
        for group in adamw.param_groups:
            group["lr"] = 0.1 * (step + 1)
        adamw.step()
        assert equal(values(ours), values(theirs))
    assert all(parameter.grad is None for parameter in ours.parameters())


def test_student_optimizer_stops_at_a_step_that_is_not_finite() -> None:
    trained = model()
    updater = StudentOptimizer(trained, 0.1, 0.1, DEVICE)
    give_gradients(trained, 1.0)
    updater.step(0.1, YES)
    before, state = values(trained), {name: value.clone() for name, value in updater.state().items()}
    for value, finite in ((torch.inf, NO), (1.0, YES)):
        give_gradients(trained, value)
        updater.step(0.1, finite)
    assert equal(values(trained), before)
    assert all(torch.equal(value, state[name]) for name, value in updater.state().items())
    updater.clear_nonfinite_flag()
    give_gradients(trained, 1.0)
    updater.step(0.1, YES)
    assert not equal(values(trained), before)


def test_student_optimizer_restore_continues_exactly() -> None:
    straight, other = model(), model()
    first = StudentOptimizer(straight, 0.1, 0.1, DEVICE)
    give_gradients(straight, 1.0)
    first.step(0.1, YES)
    other.load_state_dict(straight.state_dict())
    give_gradients(other, 9.0)
    second = StudentOptimizer(other, 0.1, 0.1, DEVICE)
    assert all(parameter.grad is None for parameter in other.parameters())
    second.restore(first.state())
    for trained, updater in ((straight, first), (other, second)):
        give_gradients(trained, -0.5)
        updater.step(0.1, YES)
    assert equal(values(straight), values(other))
