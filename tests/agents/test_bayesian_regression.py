"""The regression against dense formulas, enumeration and samples."""

from __future__ import annotations

import numpy as np
import pytest

from kselect.agents.bayesian_regression import ABSENT, SCALES, BlockRegression

BLOCKS = np.array([0, 0, 1, 1, 2])


def observed(n: int = 30, seed: int = 0, noise: float = 0.5) -> tuple[BlockRegression, np.ndarray, np.ndarray]:
    """Return a regression with n observations in which block 1 has no effect, and the observations."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, len(BLOCKS)))
    y = x @ [1.0, -1.0, 0.0, 0.0, 0.5] + noise * rng.standard_normal(n)
    regression = BlockRegression(BLOCKS, optional=[1, 2])
    for features, target in zip(x, y, strict=True):
        regression.add(features, target)
    return regression, x, y


def dense_evidence(levels: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return log p(y) up to a constant, with the noise variance integrated out, from the covariance of y."""
    covariance = np.eye(len(y)) + x @ np.diag(SCALES[levels[BLOCKS]]) @ x.T
    return -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * len(y) * np.log(y @ np.linalg.solve(covariance, y))


def test_the_evidence_is_that_of_the_covariance_of_the_targets() -> None:
    regression, x, y = observed()
    differences = []
    for levels in ([0, 0, 0], [1, 0, 2], [3, 3, 3], [2, 1, 0]):
        regression.levels = np.array(levels)
        differences.append(regression.log_evidence() - dense_evidence(regression.levels, x, y))
    assert differences == pytest.approx([differences[0]] * 4, abs=1e-3)  # the floor of the residuals


def test_the_mean_is_the_ridge_solution() -> None:
    regression, x, y = observed()
    regression.levels = np.array([3, 1, 2])
    ridge = np.linalg.solve(x.T @ x + np.diag(1 / SCALES[regression.levels[BLOCKS]]), x.T @ y)
    assert regression.mean() == pytest.approx(ridge)


def test_draws_have_the_mean_and_covariance_of_the_posterior() -> None:
    regression, x, y = observed()
    draws = np.array([regression.draw(np.random.default_rng(seed)) for seed in range(4000)])
    precision = x.T @ x + np.diag(1 / SCALES[regression.levels[BLOCKS]])
    residual = y @ y - y @ x @ regression.mean()
    covariance = np.linalg.inv(precision) * residual / (len(y) - 2)  # of a t distribution with n degrees of freedom
    assert draws.mean(0) == pytest.approx(regression.mean(), abs=0.01)
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.1 * covariance.max())
    assert regression.noise() == pytest.approx(0.5, abs=0.15)


def test_scales_are_sampled_in_proportion_to_their_posterior() -> None:
    regression, x, y = observed(n=8, noise=1.0)
    shape = (len(SCALES),) * 3
    log_odds = np.empty(shape)
    for levels in np.ndindex(shape):
        prior = sum(np.log(0.7 if levels[block] == ABSENT else 0.3 / (len(SCALES) - 1)) for block in (1, 2))
        log_odds[levels] = dense_evidence(np.array(levels), x, y) + prior
    expected = np.exp(log_odds - log_odds.max())
    expected /= expected.sum()
    rng, counts = np.random.default_rng(1), np.zeros(shape)
    for _ in range(3000):
        regression.sample_levels(rng, presence=0.3)
        counts[tuple(regression.levels)] += 1
    for axes in ((1, 2), (0, 2), (0, 1)):
        assert counts.sum(axes) / counts.sum() == pytest.approx(expected.sum(axes), abs=0.04)


def test_a_block_without_effect_vanishes() -> None:
    regression, _, _ = observed(n=200)
    levels: list[np.ndarray] = []
    for _ in range(100):
        regression.sample_levels(np.random.default_rng(len(levels)), presence=0.5)
        levels.append(regression.levels.copy())
    present = (np.array(levels) != ABSENT).mean(0)
    assert present[0] == present[2] == 1
    assert present[1] < 0.3


def test_what_is_integrated_out_leaves_the_posterior_of_the_rest() -> None:
    regression, _, _ = observed()
    regression.levels = np.array([2, 1, 3])
    kept = np.array([4, 0, 3])
    rest = BlockRegression(np.arange(3))
    rest.gram, rest.moment, rest.squares = regression.integrate_out(kept)
    rest.count, rest.levels = regression.count, regression.levels[BLOCKS[kept]]
    assert rest.mean() == pytest.approx(regression.mean()[kept])
    assert rest.noise() == pytest.approx(regression.noise(), rel=1e-5)
    whole = np.linalg.inv(regression.gram + np.diag(1 / SCALES[regression.levels[BLOCKS]]))
    assert np.linalg.inv(rest.gram + np.diag(1 / SCALES[rest.levels])) == pytest.approx(whole[np.ix_(kept, kept)])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_targets_does_not_matter(unit: float) -> None:
    regression, x, y = observed()
    other = BlockRegression(BLOCKS, optional=[1, 2])
    for features, target in zip(x, y, strict=True):
        other.add(features, unit * target)
    for each in (regression, other):
        each.sample_levels(np.random.default_rng(5), presence=0.5)
    assert regression.levels.tolist() == other.levels.tolist()
    assert other.mean() / unit == pytest.approx(regression.mean(), rel=1e-6)


@pytest.mark.parametrize("target", [0.0, 0.25, 1e-12])
def test_targets_without_noise_are_no_trouble(target: float) -> None:
    regression = BlockRegression(BLOCKS)
    for _ in range(20):
        regression.add(np.ones(5), target)
        regression.sample_levels(np.random.default_rng(0), presence=0.5)
        assert np.isfinite(regression.draw(np.random.default_rng(0))).all()
    assert regression.mean().sum() == pytest.approx(target, rel=0.1)
