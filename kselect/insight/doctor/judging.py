"""Advice held against what then happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from scipy.stats import ttest_ind

from kselect.insight.doctor.advice import Advice

Verdict = Literal["right", "wrong", "undecided"]
Outcomes = Mapping[str, Sequence[float]]
"""Scores of finished students, one a seed, by knowledge or agent."""

CALLED = {"gold": ("gold", "fine-tune"), "logits": ("logits", "kd", "vanilla-kd")}
"""What a claim's knowledge may be called among outcomes; anything else by its own name."""
MARGIN = 0.01
CONFIDENCE = 0.95


def judge(advice: Advice, outcomes: Outcomes, margin: float = MARGIN) -> Verdict:
    """Say whether outcomes bear out what an advice claims.

    The difference of two means has a confidence interval (Welch's, at 95 per cent). `better` is right where all of it
    is above 0, and wrong where all of it is below `margin`; `no better` the other way round. Anything else is
    undecided: an interval too wide, fewer than two seeds of either or none that differ, no such outcome, or no claim.

    Args:
        advice: what was said before.
        outcomes: scores by name; see `Outcomes`.
        margin: the least difference that is one, in the unit of the scores.
    """
    claim = advice.claim
    if claim is None:
        return "undecided"
    ours, theirs = _scores(claim.name, outcomes), _scores(claim.other, outcomes)
    if ours is None or theirs is None:
        return "undecided"
    low, high = _difference(ours, theirs)
    if low > 0:
        return "right" if claim.better else "wrong"
    if high < margin:
        return "wrong" if claim.better else "right"
    return "undecided"


def tally(every: Iterable[Advice], outcomes: Outcomes, margin: float = MARGIN) -> dict[Verdict, int]:
    """Count the verdicts on what can be judged: advice with a claim."""
    counts = Counter(judge(advice, outcomes, margin) for advice in every if advice.claim is not None)
    return {"right": counts["right"], "wrong": counts["wrong"], "undecided": counts["undecided"]}


def _scores(name: str, outcomes: Outcomes) -> Sequence[float] | None:
    """Return the scores of at least two seeds."""
    called = next((one for one in CALLED.get(name, (name,)) if one in outcomes), None)
    return outcomes[called] if called is not None and len(outcomes[called]) > 1 else None


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the confidence interval of the difference of means."""
    if list(ours) == list(theirs):  # two names for the same students
        return 0.0, 0.0
    if np.ptp(ours) == 0 and np.ptp(theirs) == 0:  # seeds that fell on one score each show no noise to go by
        return -np.inf, np.inf
    interval = ttest_ind(ours, theirs, equal_var=False).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)
