"""Advice held against what then happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
from scipy.stats import ttest_ind

from kselect.analysis.ablation.effects import CONFIDENCE, mean_of
from kselect.analysis.doctor.advice import Advice

Verdict = Literal["right", "wrong", "undecided"]
Scores = Sequence[float] | Mapping[str, float]
Outcomes = Mapping[str, Scores | str]
"""Scores of finished students by knowledge or agent, one a seed, those of known seeds by seed; or another name, whose
students serve for this one."""

CALLED = {"gold": ("fine-tune",), "logits": ("kd", "vanilla-kd")}
"""What else a claim's knowledge may be called among outcomes, at a temperature or without."""
MARGIN = 0.01


def judge(advice: Advice, outcomes: Outcomes, margin: float = MARGIN) -> Verdict:
    """Say whether outcomes bear out what an advice claims.

    The difference of two means has a confidence interval, at 95 per cent: of the differences seed by seed, where both
    have two seeds or more in common (Student's), of unpaired scores else (Welch's). Students are better where all of
    it is above 0 and it reaches `margin`, and no better where it ends below `margin`, so that one that lies between 0
    and `margin` is no difference. `better` is right by the first and wrong by the second, `no better` the other way
    round. Anything else is undecided: an interval too wide, fewer than two seeds of either or none
    that differ, no such outcome, or no claim. Two names of the same students differ by nothing.

    Args:
        advice: what was said before.
        outcomes: scores by name; see `Outcomes`.
        margin: the least difference that is one, in the unit of the scores.
    """
    claim = advice.claim
    if claim is None:
        return "undecided"
    ours, theirs = _students(claim.name, outcomes), _students(claim.other, outcomes)
    if ours is None or theirs is None:
        return "undecided"
    (our_name, our_scores), (their_name, their_scores) = ours, theirs
    low, high = (0.0, 0.0) if our_name == their_name else _difference(our_scores, their_scores)
    if high < margin:
        return "wrong" if claim.better else "right"
    if low > 0:
        return "right" if claim.better else "wrong"
    return "undecided"


def tally(every: Iterable[Advice], outcomes: Outcomes, margin: float = MARGIN) -> dict[Verdict, int]:
    """Count the verdicts on what can be judged: advice with a claim."""
    counts = Counter(judge(advice, outcomes, margin) for advice in every if advice.claim is not None)
    return {"right": counts["right"], "wrong": counts["wrong"], "undecided": counts["undecided"]}


def at_temperature(name: str, temperature: float | str) -> str:
    """Return what knowledge or an agent is called that reads the teacher at another temperature than the doctor's."""
    with suppress(ValueError):  # a schedule
        temperature = f"{float(temperature):g}"
    return f"{name}@{temperature}"


def _students(name: str, outcomes: Outcomes) -> tuple[str, Scores] | None:
    """Return what the students under a claim's knowledge are called among outcomes, and their scores, if any."""
    kind, at, temperature = name.partition("@")
    others = [at_temperature(other, temperature) if at else other for other in (kind, *CALLED.get(kind, ()))]
    called = next((one for one in (name, *others) if one in outcomes), None)
    if called is None:
        return None
    scores = outcomes[called]
    if isinstance(scores, str):
        called, scores = scores, outcomes[scores]
    return None if isinstance(scores, str) else (called, scores)


def _difference(ours: Scores, theirs: Scores) -> tuple[float, float]:
    """Return the confidence interval of the difference of means."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        both = [seed for seed in ours if seed in theirs]
        if len(both) > 1:
            lead = mean_of([ours[seed] - theirs[seed] for seed in both])
            return lead.mean - lead.margin(), lead.mean + lead.margin()
    one, other = (np.array([*(x.values() if isinstance(x, Mapping) else x)]) for x in (ours, theirs))
    if min(len(one), len(other)) < 2 or np.ptp(one) == np.ptp(other) == 0:  # no noise to go by
        return -np.inf, np.inf
    interval = ttest_ind(one, other, equal_var=False).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)
