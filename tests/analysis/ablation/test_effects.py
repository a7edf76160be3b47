"""The decomposition of a gain against values worked out by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from kselect.analysis.ablation.effects import (
    CONFIRMED,
    CONTRADICTED,
    NOT_APPLICABLE,
    OPEN,
    decompose,
)

BASE = {0: 70.0, 1: 71.0, 2: 72.0}


def values(**gains: list[float]) -> dict[str, dict[int, float]]:
    """Values of every condition from its gains over fine-tuning by seed."""
    named = {name.replace("_", "-"): gain for name, gain in gains.items()}
    return {"fine-tune": BASE} | {
        name: {seed: BASE[seed] + gain[seed] for seed in BASE} for name, gain in named.items()
    }


ALL = values(
    label_smoothing=[0.5, 1.0, 0.0],
    kd_sim=[1.5, 2.0, 1.0],
    kd_pt=[3.0, 2.0, 4.0],
    kd_pt_sim=[4.0, 3.0, 5.0],
    kd=[4.0, 3.0, 5.0],
)


@pytest.mark.slow
def test_decompose_of_equal_conditions_returns_a_verdict_at_most_once_in_forty_times() -> None:
    generator, times = np.random.default_rng(0), 2000
    orders: Counter[str] = Counter()
    for _ in range(times):
        found = {name: dict(enumerate(generator.standard_normal(4))) for name in ALL}
        orders[decompose(found, classes=5).order] += 1
    assert orders[CONTRADICTED] < (0.025 + 3 * math.sqrt(0.025 * 0.975 / times)) * times
    assert orders[CONFIRMED] <= orders[CONTRADICTED]


def test_decompose_pairs_gains_shares_and_leads_by_seed() -> None:
    found = decompose(ALL, classes=17)
    assert {name: gain.mean for name, gain in found.gains.items()} == {
        "label-smoothing": 0.5,
        "kd-sim": 1.5,
        "kd-pt": 3.0,
        "kd-pt-sim": 4.0,
        "kd": 4.0,
    }
    assert {name: share.mean for name, share in found.shares.items()} == {
        "label-smoothing": 0.125,
        "kd-sim": 0.375,
        "kd-pt": 0.75,
        "kd-pt-sim": 1.0,
        "kd": 1.0,
    }
    assert found.shares["kd"].se == found.shares["kd-pt-sim"].se == 0.0
    lead = found.leads["kd-sim", "label-smoothing"]
    assert (lead.mean, lead.se, lead.count) == (1.0, 0.0, 3)
    assert not lead.is_significant  # the same under all seeds: the noise is unknown
    lead = found.leads["kd-pt", "kd-sim"]
    assert lead.mean == 1.5
    assert lead.se == pytest.approx(1.5 / math.sqrt(3))  # of 1.5, 0 and 3


@pytest.mark.parametrize(
    ("pt", "sim", "smoothing", "order"),
    [
        ([3.0, 3.1, 2.9], [2.0, 2.05, 1.95], [1.0, 1.1, 0.9], CONFIRMED),
        ([3.0, 3.1, 2.9], [1.0, 1.05, 0.95], [2.0, 2.1, 1.9], CONTRADICTED),
        ([1.0, 1.1, 0.9], [2.0, 2.05, 1.95], [0.0, 0.1, -0.1], CONTRADICTED),
        ([1.0, 1.2, 0.8], [1.7, 1.6, 1.8], [0.0, 0.1, -0.1], OPEN),
        ([3.0, 0.0, 2.9], [2.0, 2.05, 1.95], [1.0, 1.1, 0.9], OPEN),
        ([3.0, 3.1, 2.9], [2.0, 2.05, 1.95], [2.0, 2.05, 1.95], OPEN),
    ],
    ids=["confirmed", "domain-below-universe", "instance-below-domain", "one-of-three", "noise", "no-difference"],
)
def test_decompose_order(pt: list[float], sim: list[float], smoothing: list[float], order: str) -> None:
    found = decompose(values(label_smoothing=smoothing, kd_sim=sim, kd_pt=pt, kd=pt), classes=3)
    assert found.order == order
    assert decompose(values(label_smoothing=smoothing, kd_sim=sim, kd_pt=pt, kd=pt), classes=2).order == NOT_APPLICABLE


def test_decompose_without_a_gain_has_no_shares() -> None:
    worse = values(label_smoothing=[1.0] * 3, kd_sim=[1.0] * 3, kd_pt=[1.0] * 3, kd=[-1.0, 0.5, 0.0])
    assert decompose(worse, classes=5).shares == {}
