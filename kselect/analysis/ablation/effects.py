"""Decomposition of the gain: what each condition of an ablation gains over fine-tuning, and how significantly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kselect.analysis.ablation.levels import DOMAIN, FINE_TUNE, INSTANCE, KD, UNIVERSE
from kselect.stats import CONFIDENCE, Estimate, paired_difference, ratio

ORDER = ((INSTANCE, DOMAIN), (DOMAIN, UNIVERSE), (INSTANCE, UNIVERSE))
"""Of each pair, the condition that gains more according to Tang et al. (2020): instance > domain > universe."""
BONFERRONI = 1 - (1 - CONFIDENCE) / len(ORDER)
"""Confidence of each of the three intervals at which all of them hold with 95 %."""
CONFIRMED, CONTRADICTED, OPEN, NOT_APPLICABLE = "confirmed", "contradicted", "not told apart", "not asked"
"""Values of "order" in results.json."""

Values = Mapping[str, Mapping[int, float]]
"""Measured values by condition and seed, the higher the better."""


@dataclass(frozen=True)
class Decomposition:
    """Gains of the conditions of an ablation.

    Attributes:
        gains: Gain of each condition over fine-tuning, paired by seed.
        shares: Gain of each condition as a share of KD's gain; empty unless that is significantly positive.
        leads: Difference between the first and the second condition of each pair in `ORDER`, paired by seed.
        reversed_pairs: The pairs of `ORDER` whose difference is significantly negative, as one of three tests.
        order: Whether instance > domain > universe: one of `CONFIRMED`, `CONTRADICTED`, `OPEN`, `NOT_APPLICABLE`.
    """

    gains: dict[str, Estimate]
    shares: dict[str, Estimate]
    leads: dict[tuple[str, str], Estimate]
    reversed_pairs: list[tuple[str, str]]
    order: str


def decompose(values: Values, classes: int) -> Decomposition:
    """Decompose the gain of KD over fine-tuning.

    The order is confirmed where each level is significantly above the next. It is contradicted where any of the three
    pairs is significantly reversed after Bonferroni's correction for three tests. Where all levels are equal, each
    verdict is returned with a probability of at most 2.5 %. It is not applicable to two classes.

    Args:
        values: The measure for every student, the higher the better; every condition under the same seeds.
        classes: Number of classes.
    """
    seeds = list(values[FINE_TUNE])
    columns = {name: [runs[seed] for seed in seeds] for name, runs in values.items()}
    base = columns[FINE_TUNE]
    gains = {name: paired_difference(column, base) for name, column in columns.items() if name != FINE_TUNE}
    shares = {}
    if gains[KD].low > 0:
        differences = {name: np.subtract(columns[name], base) for name in gains}
        shares = {name: ratio(difference, differences[KD]) for name, difference in differences.items()}
    pairs = {pair: (columns[pair[0]], columns[pair[1]]) for pair in ORDER}
    leads = {pair: paired_difference(*both) for pair, both in pairs.items()}
    reversed_pairs = [pair for pair, both in pairs.items() if paired_difference(*both, BONFERRONI).high < 0]
    order = CONTRADICTED if reversed_pairs else OPEN
    if classes == 2:
        order = NOT_APPLICABLE
    elif not reversed_pairs and all(leads[pair].low > 0 for pair in ORDER[:2]):
        order = CONFIRMED
    return Decomposition(gains, shares, leads, reversed_pairs, order)
