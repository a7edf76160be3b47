"""Weights by the clock: a run cut into stages, as YAML writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kselect.agents.validation import SHARE, check_range
from kselect.errors import KselectError, did_you_mean

Stages = Sequence[Mapping[str, Any]]
"""Each with `weights` by knowledge, the share of the run that it lasts `until` (the last one's is 1), and where its
weights move, those that they go `to` in a straight line."""

PARTS = ("until", "weights", "to")


def check_stages(agent: str, stages: Any) -> Stages:
    """Return `stages` if that is what they are.

    Raises:
        KselectError: no list of stages, a part that stages do not have, one that must be there, or weights that are no
            mapping, lie outside [0, 1] or select nothing.
    """
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        example = "[{until: 0.5, weights: {hidden: 1}}, {weights: {gold: 1}}]"
        raise KselectError(f"Agent '{agent}' needs a list of stages, such as stages: {example}.")
    for place, stage in enumerate(stages, 1):
        for part in stage:
            if part not in PARTS:
                hint = did_you_mean(str(part), PARTS)
                raise KselectError(f"Stage {place} of agent '{agent}' has no '{part}'{hint} It has {', '.join(PARTS)}.")
        if "until" not in stage and place < len(stages):
            raise KselectError(
                f"Stage {place} of agent '{agent}' has no end: give the share of the run it lasts `until`."
            )
        check_mapping(agent, "weights", stage.get("weights"))
        if stage.get("to") is not None:
            check_mapping(agent, "to", stage["to"])
    return stages


def check_mapping(agent: str, part: str, weights: Any) -> None:
    """Refuse weights that are not given by knowledge, lie outside [0, 1], or select nothing."""
    if not isinstance(weights, dict) or not weights:
        raise KselectError(f"Agent '{agent}' needs weights by knowledge, such as {part}: {{gold: 1}}.")
    for knowledge, weight in weights.items():
        check_range(f"The weight of {knowledge}", weight, SHARE)
    if not any(weights.values()):
        raise KselectError(f"Agent '{agent}' selects nothing: give at least one knowledge a weight above 0.")


def stage_knowledge(stages: Stages) -> tuple[str, ...]:
    """Return the kinds of knowledge that stages name, in the order of their first use."""
    parts = [stage.get(part) or {} for stage in stages for part in ("weights", "to")]
    return tuple(dict.fromkeys(str(name) for weights in parts for name in weights))


def row_stages(stages: Stages, names: Sequence[str]) -> list[dict[str, Any]]:
    """Put weights by knowledge into the order of `names`; knowledge that a stage does not name weighs nothing."""
    return [
        {
            **stage,
            **{part: [stage[part].get(name, 0) for name in names] for part in ("weights", "to") if stage.get(part)},
        }
        for stage in stages
    ]
