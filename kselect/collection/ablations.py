"""The selections of the preliminary study of Wang et al. (2022): which kinds of knowledge are needed, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kselect.agents.stages import Stages
from kselect.collection.suite import Suite
from kselect.errors import KselectError

EVERYTHING = "everything"
QUARTERS = 4


def ablated(suite: Suite) -> Suite:
    """Return a suite with the selections of the study in place of its own, on labelled texts alone.

    Raises:
        KselectError: the suite does not name two kinds of knowledge.
    """
    kinds = suite.knowledge.knowledge or ()
    if len(kinds) < 2:
        raise KselectError("An ablation needs two kinds of knowledge or more: name them in the suite.", setting="suite")
    return replace(suite, selections=ablations(kinds))


def ablations(kinds: Sequence[str], transfer: float = 0.0) -> dict[str, Stages]:
    """Return the selections of the study, by name.

    They are everything on offer, equally; each kind alone; everything without it; and everything without it in one
    quarter of the run.

    Args:
        kinds: the kinds of knowledge on offer, two or more.
        transfer: weight of further texts, in all of them.
    """

    def stage(chosen: Iterable[str], until: float = 1.0) -> dict[str, Any]:
        return {"until": until, "weights": {**dict.fromkeys(chosen, 1), "transfer": transfer}}

    found: dict[str, Stages] = {EVERYTHING: [stage(kinds)]}
    for kind in kinds:
        others = [other for other in kinds if other != kind]
        found[f"{kind} alone"] = [stage([kind])]
        found[f"without {kind}"] = [stage(others)]
        for quarter in range(QUARTERS):
            begin, end = quarter / QUARTERS, (quarter + 1) / QUARTERS
            stages = [stage(kinds, begin), stage(others, end), stage(kinds)]
            kept = [each for each in stages if each["until"] > 0]
            found[f"without {kind} in quarter {quarter + 1}"] = kept[:-1] if end == 1 else kept
    return found
