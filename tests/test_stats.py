"""Estimates against values worked out by hand, tables and brute force."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy.stats import t as student_t

from kselect.stats import (
    bootstrap,
    difference,
    estimate,
    holm,
    jackknife,
    monte_carlo_p_value,
    paired_difference,
    permutation_test,
    ratio,
)

# Two-sided 95 % points of Student's t, from the tables.
T2, T3 = 4.302653, 3.182446


def test_estimate_of_three_values_by_hand() -> None:
    result = estimate([1.0, 2.0, 6.0])
    sd = math.sqrt((4 + 1 + 9) / 2)
    margin = T2 * sd / math.sqrt(3)
    assert (result.mean, result.sd, result.count) == (3.0, pytest.approx(sd), 3)
    assert result.se == pytest.approx(sd / math.sqrt(3))
    assert (result.low, result.high) == (pytest.approx(3 - margin, rel=1e-5), pytest.approx(3 + margin, rel=1e-5))
    assert result.margin == pytest.approx(margin, rel=1e-5)
    # With two degrees of freedom the p-value is 1 - t / sqrt(t² + 2).
    t = 3 / result.se
    assert result.p_value == pytest.approx(1 - t / math.sqrt(t * t + 2))
    assert not result.is_significant
    assert estimate([1.0, 2.0, 6.0], confidence=0.5).is_significant


def test_estimate_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    results = [estimate(rng.normal(1.0, 2.0, size=4)) for _ in range(2000)]
    assert np.mean([result.low < 1 < result.high for result in results]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7, 0.7], [0.0, 0.0]])
def test_estimate_without_variance_is_never_significant(values: list[float]) -> None:
    result = estimate(values)
    assert result.mean == pytest.approx(values[0])
    assert (result.low, result.high, result.p_value) == (-math.inf, math.inf, None)
    assert not result.is_significant
    assert math.isnan(result.sd) == (len(values) == 1)


def test_estimate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a list of values"):
        estimate([])


def test_paired_difference_is_the_estimate_of_differences() -> None:
    values, baseline = [0.8, 0.7, 0.9, 0.85], [0.7, 0.65, 0.8, 0.7]
    result = paired_difference(values, baseline)
    differences = [0.1, 0.05, 0.1, 0.15]
    sd = math.sqrt(0.005 / 3)
    assert vars(result) == pytest.approx(vars(estimate(differences)))
    assert result.mean == pytest.approx(0.1)
    assert result.low == pytest.approx(0.1 - T3 * sd / 2, rel=1e-5)
    assert result.is_significant


def test_paired_difference_of_equal_differences_is_not_significant() -> None:
    result = paired_difference([0.81, 0.82, 0.83], [0.80, 0.81, 0.82])  # their rounding differs
    assert result.mean == pytest.approx(0.01)
    assert result.p_value is None
    assert not result.is_significant
    with pytest.raises(ValueError, match="2 and 1"):
        paired_difference([1.0, 2.0], [1.0])


def test_difference_is_welchs() -> None:
    first, second = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0, 8.0]
    result = difference(first, second)
    variances = 1 / 3, 20 / 3 / 4
    assert result.mean == -3
    assert result.se == pytest.approx(math.sqrt(sum(variances)))
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 3)
    assert result.margin == pytest.approx(student_t.ppf(0.975, freedom) * result.se)
    assert difference([1.0], [2.0, 3.0]).p_value is None
    assert not difference([1.0, 1.0], [2.0, 2.0]).is_significant


def test_ratio_has_the_error_of_the_delta_method() -> None:
    result = ratio([1.0, 2.0, 3.0], [2.0, 5.0, 5.0])
    assert result.mean == 0.5
    rest = np.array([0.0, -0.5, 0.5])
    assert result.se == pytest.approx(rest.std(ddof=1) / math.sqrt(3) / 4)
    assert result.margin == pytest.approx(T2 * result.se, rel=1e-5)
    assert ratio([1.0], [2.0]).low == -math.inf


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5.0, 1.0, size=200)
    result = bootstrap(values, draws=2000)
    assert result.mean == pytest.approx(values.mean())
    assert result.se == pytest.approx(values.std() / math.sqrt(200), rel=0.1)
    assert result.margin == pytest.approx(1.96 * result.se, rel=0.1)
    assert bootstrap(values, draws=100) == bootstrap(values, draws=100)
    assert bootstrap([1.0, 1.0, 1.0]).high == math.inf


def test_permutation_test_against_brute_force() -> None:
    values, baseline = np.array([0.9, 0.8, 0.6, 0.7]), np.array([0.7, 0.75, 0.65, 0.4])
    differences = values - baseline
    signs = [abs((np.array(signs) * differences).mean()) for signs in product((1, -1), repeat=4)]
    expected = np.mean([sign >= abs(differences.mean()) - 1e-12 for sign in signs])
    assert permutation_test(values, baseline) == pytest.approx(expected)
    assert permutation_test([1.0, 2.0], [8.0, 9.0], paired=False) == pytest.approx(2 / 6)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_jackknife_of_a_mean_has_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=15)
    found, expected = jackknife(lambda rows: float(values[rows].mean()), 15), estimate(values)
    assert (found.mean, found.se) == pytest.approx((expected.mean, expected.se))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def correlation(pairs: np.ndarray, rows: np.ndarray) -> float:
    return float(np.corrcoef(pairs[:, rows])[0, 1])


def test_jackknife_by_groups_covers_a_correlation_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        x = rng.normal(size=200)
        y = 0.5 * x + rng.normal(size=200) * math.sqrt(0.75)
        pairs = np.stack([x, y])
        found = jackknife(partial(correlation, pairs), 200)
        covered += found.low <= 0.5 <= found.high
    assert 0.91 < covered / 300 < 0.98


def test_jackknife_without_variance_is_never_significant() -> None:
    found = jackknife(lambda rows: 0.5, 40)
    assert (found.mean, found.se) == (0.5, 0.0)
    assert not found.is_significant


def test_monte_carlo_p_value_counts_the_observed_value_as_a_draw() -> None:
    assert monte_carlo_p_value(3.0, [1.0, 2.0, 3.0, 4.0]) == 3 / 5
    assert monte_carlo_p_value(5.0, np.arange(4)) == 1 / 5
    assert monte_carlo_p_value(0.1 + 0.2, [0.3]) == 1  # equal but for rounding
    rng = np.random.default_rng(0)
    p_values = [monte_carlo_p_value(rng.random(), rng.random(19)) for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.015)
