"""How losses become one: against numpy, finite differences, and the moments of a run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kselect.config import KnowledgeConfig
from kselect.distillation.snapshot import Snapshot
from kselect.distillation.weighting import DynamicWeighting, UncertaintyWeighting, Weighting, make_weighting
from kselect.errors import KselectError
from kselect.models.heads import ClassAnswer
from tests.tiny import tiny_distiller

NAMES = ("gold", "logits", "hidden", "attention")
LOSSES = np.array([[0.5, 2.0, 3.0, 0.1], [1.5, 0.2, 0.7, 4.0], [0.1, 0.1, 9.0, 0.3]])
WEIGHTS = np.array([0.25, 0.5, 1.0, 0.8])
SCALES = np.array([1.0, 1.0, 1.5, 2.5])
FACTORS = WEIGHTS * SCALES
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [30.0, 0.0, -30.0]])


def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    losses, weights, scales, logits = (torch.from_numpy(each.copy()) for each in (LOSSES, WEIGHTS, SCALES, LOGITS))
    return losses.requires_grad_(), weights, scales, logits.requires_grad_()


def uncertainty() -> np.ndarray:
    q = np.exp(LOGITS - LOGITS.max(1, keepdims=True))
    q /= q.sum(1, keepdims=True)
    return -(q * np.log(np.maximum(q, 1e-300))).sum(1) / np.log(3)


def test_weighting_is_a_weighted_sum() -> None:
    losses, weights, scales, logits = tensors()
    np.testing.assert_allclose(
        Weighting()(losses, weights, scales, NAMES, ClassAnswer(logits)).detach(), LOSSES @ FACTORS
    )


def test_dynamic_weighting_equals_numpy() -> None:
    losses, weights, scales, logits = tensors()
    u = uncertainty()
    assert u[1] == pytest.approx(1)
    assert u[2] == pytest.approx(0, abs=1e-6)
    shares = np.stack([np.ones(3), 1 - u, u, np.ones(3)], axis=1)
    total = DynamicWeighting()(losses, weights, scales, NAMES, ClassAnswer(logits))
    np.testing.assert_allclose(total.detach(), (LOSSES * shares) @ FACTORS, rtol=1e-6)


def test_dynamic_weighting_of_some_kinds() -> None:
    losses, weights, scales, logits = tensors()
    total = DynamicWeighting()(
        losses[:, [2, 0]], weights[[2, 0]], scales[[2, 0]], ("hidden", "gold"), ClassAnswer(logits)
    )
    np.testing.assert_allclose(total.detach(), uncertainty() * LOSSES[:, 2] * 1.5 + LOSSES[:, 0] * 0.25, rtol=1e-6)


@pytest.mark.parametrize("name", ["hidden-cls", "hidden-cosine"])
def test_dynamic_weighting_of_all_kinds_of_hidden_states(name: str) -> None:
    losses, weights, scales, logits = tensors()
    totals = [
        DynamicWeighting()(losses, weights, scales, ("gold", "logits", kind, "attention"), ClassAnswer(logits))
        for kind in ("hidden", name)
    ]
    of_second = ("gold", "logits@2", f"{name}@2", "attention@1")
    totals.append(DynamicWeighting()(losses, weights, scales, of_second, ClassAnswer(logits)))
    assert torch.equal(totals[0], totals[1])
    assert torch.equal(totals[0], totals[2])
    assert isinstance(make_weighting("dynamic", of_second, regression=False), DynamicWeighting)
    assert isinstance(make_weighting("dynamic", ("gold", "logits", name), regression=False), DynamicWeighting)


def test_dynamic_weighting_has_no_gradient_through_uncertainty() -> None:
    losses, weights, scales, logits = tensors()
    DynamicWeighting()(losses, weights, scales, NAMES, ClassAnswer(logits)).sum().backward()
    assert logits.grad is None
    assert losses.grad is not None
    np.testing.assert_allclose(losses.grad[:, 1], (1 - uncertainty()) * 0.5, rtol=1e-5, atol=1e-7)


def learned(values: list[float]) -> UncertaintyWeighting:
    weighting = UncertaintyWeighting(NAMES).double()
    with torch.no_grad():
        weighting.paced.copy_(torch.tensor(values) / weighting.PACE)
    return weighting


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [3, 1]])
def test_uncertainty_weighting_equals_numpy(chosen: list[int]) -> None:
    losses, weights, scales, logits = tensors()
    s = np.array([0.3, -1.0, 2.0, 0.5])
    names = tuple(NAMES[i] for i in chosen)
    total = learned(s.tolist())(losses[:, chosen], weights[chosen], scales[chosen], names, ClassAnswer(logits))
    expected = (WEIGHTS * (np.exp(-s) * SCALES * LOSSES + s / 2))[:, chosen].sum(1)
    np.testing.assert_allclose(total.detach(), expected, rtol=1e-6)


def test_uncertainty_weighting_gradient_by_finite_differences() -> None:
    s = np.array([0.3, -1.0, 2.0, 0.5])
    losses, weights, scales, logits = tensors()

    def total(values: np.ndarray) -> float:
        return learned(values.tolist())(losses, weights, scales, NAMES, ClassAnswer(logits)).mean().item()

    weighting = learned(s.tolist())
    weighting(losses, weights, scales, NAMES, ClassAnswer(logits)).mean().backward()
    assert weighting.paced.grad is not None
    step = 1e-4
    for i, gradient in enumerate(weighting.paced.grad.tolist()):
        moved = np.eye(4)[i] * step
        assert gradient == pytest.approx((total(s + moved) - total(s - moved)) / (2 * step), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("selection", [[0.5, 0.5], [0.2, 0.8]])
def test_uncertainty_weighting_converges(selection: list[float]) -> None:
    weighting = UncertaintyWeighting(("gold", "hidden"))
    optimizer = torch.optim.Adam(weighting.parameters(), lr=1e-3)
    losses, weights, scales = torch.tensor([[0.2, 3.0]], requires_grad=True), torch.tensor(selection), torch.ones(2)
    for _ in range(300):
        optimizer.zero_grad()
        losses.grad = None
        weighting(losses, weights, scales, ("gold", "hidden"), ClassAnswer(torch.zeros(1, 2))).mean().backward()
        optimizer.step()
    # d/ds w (exp(-s) l + s / 2) = 0 at exp(s) = 2 l, whatever w: the gradient along l is then w / (2 l)
    assert weighting.log_variances.tolist() == pytest.approx([math.log(0.4), math.log(6.0)], abs=0.02)
    assert losses.grad is not None
    assert (losses.grad * losses.detach())[0].tolist() == pytest.approx([w / 2 for w in selection], rel=0.03)


@pytest.mark.parametrize("kind", ["dynamic", "uncertainty"])
def test_restore_includes_the_weighting(kind: str, tmp_path: Path) -> None:
    straight, resumed = (tiny_distiller({"weighting": kind}) for _ in range(2))
    straight.reset(3)
    straight.advance([1] * 5, 5)
    straight.snapshot().save(tmp_path / "moment")
    report = straight.advance([1, 1, 1, 0, 0], 6)
    resumed.reset(99)
    resumed.restore(Snapshot.load(tmp_path / "moment"))
    assert resumed.advance([1, 1, 1, 0, 0], 6) == report
    ours, theirs = straight.snapshot().tensors, resumed.snapshot().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    if kind == "uncertainty":
        assert isinstance(straight.weighting, UncertaintyWeighting)
        variances = straight.weighting.log_variances.detach()
        assert variances.abs().min() > 0.01
        straight.reset(1)
        assert straight.weighting.log_variances.tolist() == [0.0] * 5
        assert not any("weighting" in name for name in straight.student.model.state_dict())


def test_dynamic_weighting_in_a_training_step() -> None:
    plain, dynamic = tiny_distiller(dropout=0.0), tiny_distiller({"weighting": "dynamic"}, dropout=0.0)
    for distiller in (plain, dynamic):
        distiller.reset(1)
    reports = [distiller.advance([1, 0, 0, 1, 1], 3) for distiller in (plain, dynamic)]
    assert reports[0] == reports[1]  # neither logits nor hidden states: nothing to weigh by example
    reports = [distiller.advance([1, 1, 1, 0, 0], 3) for distiller in (plain, dynamic)]
    assert reports[0].losses != reports[1].losses


def test_make_weighting_refuses_missing_knowledge() -> None:
    with pytest.raises(KselectError, match=r"Unknown weighting 'dynamics': did you mean 'dynamic'\?"):
        make_weighting("dynamics", NAMES, regression=False)  # type: ignore[arg-type]  # a slip
    with pytest.raises(KselectError, match="which a regression does not have: leave it out"):
        make_weighting("dynamic", NAMES, regression=True)
    with pytest.raises(KselectError, match="hidden is not on offer: add it to knowledge"):
        make_weighting("dynamic", ("gold", "logits"), regression=False)
    with pytest.raises(KselectError, match="Unknown weighting"):
        KnowledgeConfig(weighting="mean")  # type: ignore[arg-type]  # a slip
    assert replace(KnowledgeConfig(), weighting="uncertainty").weighting == "uncertainty"
