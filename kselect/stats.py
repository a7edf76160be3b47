"""Means with confidence intervals, paired and unpaired differences, and corrections for several tests.

A thin layer over `scipy.stats` with one result type and one rule of its own: values without any variance give no
estimate of the noise, so that their interval is infinite and nothing about them is significant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
ROUNDING = 1e-9  # relative to the values: a standard error below this is rounding, not noise


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds or examples with its confidence interval.

    Attributes:
        mean: The mean, in the unit of the values.
        sd: Standard deviation of the values (n - 1 degrees of freedom); NaN for a single value. Of a difference
            between unpaired groups, that of one difference, such that `se` is the standard error.
        count: Number of values, or of pairs.
        low: Lower end of the confidence interval; -inf where the noise is unknown.
        high: Upper end of the confidence interval; inf where the noise is unknown.
        p_value: Two-sided p-value of a mean of 0; None where the noise is unknown or was not tested.
    """

    mean: float
    sd: float
    count: int
    low: float
    high: float
    p_value: float | None = None

    @property
    def se(self) -> float:
        """Standard error of the mean; NaN for a single value."""
        return self.sd / math.sqrt(self.count)

    @property
    def margin(self) -> float:
        """Half the width of the interval; infinite where the noise is unknown."""
        return (self.high - self.low) / 2

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def estimate(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate a mean by Student's t.

    Args:
        values: Independent values `[n]`, such as one score per seed.
        confidence: Coverage of the interval.
    """
    sample = _sample(values)
    return _student(sample, scale=abs(float(sample.mean())), confidence=confidence)


def paired_difference(values: ArrayLike, baseline: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the mean of `values - baseline` by a paired t-test.

    Args:
        values: `[n]`, such as one score per seed.
        baseline: `[n]`, under the same seeds in the same order.
        confidence: Coverage of the interval.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    first, second = _sample(values), _sample(baseline)
    if first.shape != second.shape:
        raise ValueError(f"Pairs need as many values on both sides, not {len(first)} and {len(second)}.")
    differences = first - second
    # The absolute mean is below the size of the values, whose rounding is what is left of equal differences.
    return _student(differences, scale=float(np.abs([first, second]).max()), confidence=confidence)


def difference(values: ArrayLike, baseline: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the difference between the means of two independent groups by Welch's t-test.

    Args:
        values: `[n]`.
        baseline: `[m]`.
        confidence: Coverage of the interval.
    """
    first, second = _sample(values), _sample(baseline)
    mean, count = float(first.mean() - second.mean()), min(len(first), len(second))
    if count == 1:
        return Estimate(mean, math.nan, count, -math.inf, math.inf)
    se = math.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    sd = se * math.sqrt(count)
    if se <= ROUNDING * float(max(np.abs(first).max(), np.abs(second).max())):
        return Estimate(mean, sd, count, -math.inf, math.inf)
    test = stats.ttest_ind(first, second, equal_var=False)
    interval = test.confidence_interval(confidence)
    return Estimate(mean, sd, count, float(interval.low), float(interval.high), float(test.pvalue))


def ratio(parts: ArrayLike, wholes: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the ratio of two means of pairs by the delta method.

    Its error is the standard error of `part - ratio * whole`, divided by the mean whole.

    Args:
        parts: Numerators `[n]`.
        wholes: Denominators `[n]`, paired with `parts`.
        confidence: Coverage of the interval.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    numerators, denominators = _sample(parts), _sample(wholes)
    if numerators.shape != denominators.shape:
        raise ValueError(f"Pairs need as many values on both sides, not {len(numerators)} and {len(denominators)}.")
    whole = float(denominators.mean())
    value = float(numerators.mean()) / whole
    rest = _student((numerators - value * denominators) / whole, scale=abs(value), confidence=confidence)
    return Estimate(value, rest.sd, rest.count, value + rest.low, value + rest.high)


def bootstrap(
    values: ArrayLike,
    statistic: Callable[..., float] = np.mean,
    confidence: float = CONFIDENCE,
    draws: int = 9999,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic by the bias-corrected and accelerated bootstrap (Efron 1987).

    Args:
        values: Independent values `[n]`.
        statistic: Maps an array `[n]` to a number; `mean` of the result is its value, and `se` its bootstrap error.
        confidence: Coverage of the interval.
        draws: Number of resamples.
        seed: Of the resampling.
    """
    sample = _sample(values)
    value, count = float(statistic(sample)), len(sample)
    if count == 1 or np.ptp(sample) <= ROUNDING * float(np.abs(sample).max()):
        return Estimate(value, math.nan if count == 1 else 0.0, count, -math.inf, math.inf)
    result = stats.bootstrap(
        (sample,), statistic, n_resamples=draws, confidence_level=confidence, random_state=np.random.default_rng(seed)
    )
    low, high = map(float, result.confidence_interval)
    return Estimate(value, float(result.standard_error) * math.sqrt(count), count, low, high)


def jackknife(
    statistic: Callable[[NDArray[np.int64]], float],
    count: int,
    groups: int = 20,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic of examples that is no mean, such as F1, by leaving out one random group at a time.

    With a group for each example, the error of a mean is its usual standard error (Efron and Tibshirani 1993, ch. 11).

    Args:
        statistic: Maps the ascending indices `[m]` of some of the examples to a number.
        count: Number of examples, at least 2.
        groups: Number of groups, each of which costs one evaluation of the statistic; at most one for each example.
        confidence: Coverage of the interval, by Student's t with a degree of freedom less than groups.
        seed: Of the groups.
    """
    groups = min(groups, count)
    group_of = np.random.default_rng(seed).permutation(count) % groups
    value = statistic(np.arange(count))
    without = np.array([statistic(np.flatnonzero(group_of != group)) for group in range(groups)])
    se = math.sqrt((groups - 1) * without.var())
    margin = float(stats.t.ppf((1 + confidence) / 2, groups - 1)) * se
    if se <= ROUNDING * max(abs(value), ROUNDING):
        margin = math.inf
    return Estimate(value, se * math.sqrt(count), count, value - margin, value + margin)


def permutation_test(
    values: ArrayLike, baseline: ArrayLike, paired: bool = True, draws: int = 9999, seed: int = 0
) -> float:
    """Return the two-sided p-value of no difference in means by a permutation test, exact where it is small enough.

    Args:
        values: `[n]`.
        baseline: `[n]`, or `[m]` where not paired.
        paired: Whether values are exchanged within pairs only.
        draws: Most permutations that are tried; all are where there are no more.
        seed: Of the permutations.

    Raises:
        ValueError: Pairs that differ in length.
    """
    result = stats.permutation_test(
        (_sample(values), _sample(baseline)),
        lambda first, second, axis: first.mean(axis=axis) - second.mean(axis=axis),
        permutation_type="samples" if paired else "independent",
        vectorized=True,
        n_resamples=draws,
        random_state=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def monte_carlo_p_value(value: float, draws: ArrayLike) -> float:
    """Return the probability, under a null hypothesis, of a statistic that is at least as large as an observed one.

    The observed value counts as one of the draws, so that the test keeps its level (Phipson and Smyth 2010).

    Args:
        value: The observed statistic.
        draws: The statistic under the null hypothesis, `[n]`.
    """
    sample = _sample(draws)
    rounding = ROUNDING * float(np.abs(sample).max(initial=abs(value)))
    return float((1 + (sample >= value - rounding).sum()) / (1 + len(sample)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for all of these tests by the step-down method of Holm (1979)."""
    count, largest = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError(f"An estimate needs a list of values, not an array of shape {sample.shape}.")
    return sample


def _student(sample: NDArray[np.float64], scale: float, confidence: float) -> Estimate:
    """Estimate a mean; an error that is rounding of numbers of this scale gives no estimate of the noise."""
    mean, count = float(sample.mean()), len(sample)
    if count == 1:
        return Estimate(mean, math.nan, count, -math.inf, math.inf)
    sd = float(sample.std(ddof=1))
    if sd / math.sqrt(count) <= ROUNDING * scale:
        return Estimate(mean, sd, count, -math.inf, math.inf)
    test = stats.ttest_1samp(sample, 0.0)
    interval = test.confidence_interval(confidence)
    return Estimate(mean, sd, count, float(interval.low), float(interval.high), float(test.pvalue))
