"""The arithmetic of a decomposition, by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from kselect.analysis.ablation.effects import (
    CONFIRMED,
    CONTRADICTED,
    OPEN,
    UNASKED,
    SeedEstimate,
    decompose,
    mean_of,
    ratio_of,
)

BASE = {0: 70.0, 1: 71.0, 2: 72.0}


def values(**gains: list[float]) -> dict[str, dict[int, float]]:
    """Values of every rung from what it gains over fine-tuning, seed by seed."""
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


def test_a_mean_and_its_standard_error() -> None:
    found = mean_of([4.0, 3.0, 5.0])
    assert (found.mean, found.seeds) == (4.0, 3)
    assert found.error == pytest.approx(1 / math.sqrt(3))
    assert found.margin() == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # Student's t of two degrees of freedom
    assert found.margin(tests=3) == pytest.approx(7.648804 / math.sqrt(3), rel=1e-6)  # at 1 - 0.05 / 3
    assert (found.sign(), found.sign(tests=3)) == (1, 0)
    assert mean_of([-4.0, -3.0, -5.0]).sign() == -1
    assert mean_of([4.0, -3.0, 5.0]).sign() == 0


def test_one_seed_tells_nothing_apart() -> None:
    found = mean_of([4.0])
    assert math.isnan(found.error)
    assert (found.margin(), found.sign()) == (math.inf, 0)


def test_seeds_that_all_fell_on_one_value_show_no_noise_and_tell_nothing_apart() -> None:
    """A dev of 250 examples has steps of 0.4 points: three seeds may well be one step apart each."""
    for values in ([0.0] * 3, [0.25] * 3, [70.4 - 70.0, 71.4 - 71.0, 72.4 - 72.0]):
        assert mean_of(values).sign() == 0


def test_of_rungs_that_are_all_alike_an_order_is_told_at_most_once_in_forty_times() -> None:
    generator, told, times = np.random.default_rng(0), Counter(), 2000
    for _ in range(times):
        found = {name: dict(enumerate(generator.standard_normal(4))) for name in ALL}
        told[decompose(found, classes=5).order] += 1
    assert told[CONTRADICTED] < (0.025 + 3 * math.sqrt(0.025 * 0.975 / times)) * times
    assert told[CONFIRMED] <= told[CONTRADICTED]


def test_a_ratio_and_its_standard_error() -> None:
    found = ratio_of([3.0, 2.0, 4.0], [4.0, 3.0, 5.0])
    # What is left of each part beside 3/4 of its whole is 0, -1/4 and 1/4, whose deviation is 1/4.
    assert found.mean == 0.75
    assert found.error == pytest.approx(0.25 / math.sqrt(3) / 4)
    assert ratio_of([8.0, 6.0, 10.0], [4.0, 3.0, 5.0]) == SeedEstimate(2.0, 0.0, 3)


def test_gains_shares_and_leads_are_taken_seed_by_seed() -> None:
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
    assert found.shares["kd"].error == found.shares["kd-pt-sim"].error == 0.0
    assert found.leads["kd-sim", "label-smoothing"] == SeedEstimate(1.0, 0.0, 3)
    lead = found.leads["kd-pt", "kd-sim"]
    assert lead.mean == 1.5
    assert lead.error == pytest.approx(1.5 / math.sqrt(3))  # of 1.5, 0 and 3


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
def test_the_order(pt: list[float], sim: list[float], smoothing: list[float], order: str) -> None:
    found = decompose(values(label_smoothing=smoothing, kd_sim=sim, kd_pt=pt, kd=pt), classes=3)
    assert found.order == order
    assert decompose(values(label_smoothing=smoothing, kd_sim=sim, kd_pt=pt, kd=pt), classes=2).order == UNASKED


def test_of_no_gain_there_are_no_shares() -> None:
    worse = values(label_smoothing=[1.0] * 3, kd_sim=[1.0] * 3, kd_pt=[1.0] * 3, kd=[-1.0, 0.5, 0.0])
    assert decompose(worse, classes=5).shares == {}
