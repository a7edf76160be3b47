"""A gain told apart: what each rung of a ladder gains over fine-tuning, and how sure that is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import t as student_t

from kselect.analysis.ablation.levels import DOMAIN, FINE_TUNE, INSTANCE, KD, UNIVERSE

CONFIDENCE = 0.95
ROUNDING = 1e-9  # of a mean: an error below this is the arithmetic's, not the seeds'
ORDER = ((INSTANCE, DOMAIN), (DOMAIN, UNIVERSE), (INSTANCE, UNIVERSE))
"""Of each pair the rung that gains more, as Tang et al. (2020) found: instance > domain > universe."""
CONFIRMED, CONTRADICTED, OPEN, UNASKED = "confirmed", "contradicted", "not told apart", "not asked"

Values = Mapping[str, Mapping[int, float]]
"""What was measured, by rung and seed."""


@dataclass(frozen=True)
class SeedEstimate:
    """A mean over seeds, or a ratio of two, and its standard error; that of one seed is not known, and is NaN."""

    mean: float
    error: float
    seeds: int

    def margin(self, tests: int = 1) -> float:
        """Return half the width of the interval that covers the true mean with 95 %, by Student's t.

        With several `tests`, all of so many intervals do (Bonferroni's). Infinite where no noise is to be seen: for one
        seed, and where all seeds fell on the same value, as few examples of dev make them.
        """
        if self.seeds == 1 or self.error <= ROUNDING * abs(self.mean):
            return math.inf
        return float(student_t.ppf(1 - (1 - CONFIDENCE) / (2 * tests), self.seeds - 1)) * self.error

    def sign(self, tests: int = 1) -> int:
        """Return 1 or -1 where the mean is told apart from 0, as one of so many `tests`, else 0."""
        return 0 if abs(self.mean) <= self.margin(tests) else int(math.copysign(1, self.mean))


@dataclass(frozen=True)
class Decomposition:
    """What the rungs gain.

    gains: over fine-tuning, by rung. shares: of the gain of KD, as the ratio of the means; none where KD gains nothing
    that the seeds tell from nothing.
    leads: by how much the first of two rungs is above the second. order: whether instance > domain > universe.
    """

    gains: dict[str, SeedEstimate]
    shares: dict[str, SeedEstimate]
    leads: dict[tuple[str, str], SeedEstimate]
    order: str


def decompose(values: Values, classes: int) -> Decomposition:
    """Tell the gain of KD over fine-tuning apart; differences are taken seed by seed.

    The order is confirmed where each level is above the next beyond the noise of the seeds. It is contradicted where
    any of the three pairs is the other way round beyond it, as one of three tests, since chance has three tries. Where
    all are alike, either is said at most once in 40 times. It is not asked of two classes, which have no relations.

    Args:
        values: what was measured of each student, the higher the better; every rung under the same seeds.
        classes: among how many the students choose.
    """
    seeds = list(values[FINE_TUNE])
    gained = {name: [runs[seed] - values[FINE_TUNE][seed] for seed in seeds] for name, runs in values.items()}
    gains = {name: mean_of(gain) for name, gain in gained.items() if name != FINE_TUNE}
    shares = {name: ratio_of(gained[name], gained[KD]) for name in gains} if gains[KD].sign() > 0 else {}
    leads = {pair: mean_of([values[pair[0]][seed] - values[pair[1]][seed] for seed in seeds]) for pair in ORDER}
    return Decomposition(gains, shares, leads, _order(leads, classes))


def mean_of(values: Sequence[float]) -> SeedEstimate:
    """Return the mean of the values, one a seed."""
    count = len(values)
    error = statistics.stdev(values) / math.sqrt(count) if count > 1 else math.nan
    return SeedEstimate(statistics.mean(values), error, count)


def ratio_of(parts: Sequence[float], wholes: Sequence[float]) -> SeedEstimate:
    """Return the ratio of the means of `parts` and `wholes`, one of each a seed.

    Its error is that of the delta method: the standard error of `part - ratio · whole`, over the mean whole.
    """
    whole = statistics.mean(wholes)
    ratio = statistics.mean(parts) / whole
    rest = mean_of([part - ratio * one for part, one in zip(parts, wholes, strict=True)])
    return SeedEstimate(ratio, rest.error / abs(whole), rest.seeds)


def _order(leads: Mapping[tuple[str, str], SeedEstimate], classes: int) -> str:
    if classes == 2:
        return UNASKED
    if any(lead.sign(tests=len(ORDER)) < 0 for lead in leads.values()):
        return CONTRADICTED
    return CONFIRMED if all(leads[pair].sign() > 0 for pair in ORDER[:2]) else OPEN
