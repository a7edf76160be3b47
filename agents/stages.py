"""The stages of a schedule, with weights by knowledge, as in YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kselect.agents.validation import SHARE, check_range
from kselect.errors import KselectError, did_you_mean

Stages = Sequence[Mapping[str, Any]]
"""Stages in order. Each has `weights` by knowledge; `until`, the share of the run at which it ends (1 for the last);
and, where its weights move, `to`, the weights that they move to in a straight line."""

KEYS = ("until", "weights", "to")

Weights = tuple[tuple[str, float], ...]
"""Weights that are not 0 by name, in the order of the names."""


def check_stages(agent: str, stages: Any) -> Stages:
    """Check the stages of an agent, and return them."""
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        example = "[{until: 0.5, weights: {hidden: 1}}, {weights: {gold: 1}}]"
        raise KselectError(f"Agent '{agent}' needs a list of stages, such as stages: {example}.")
    for number, stage in enumerate(stages, 1):
        for key in stage:
            if key not in KEYS:
                hint = did_you_mean(str(key), KEYS)
                raise KselectError(f"Stage {number} of agent '{agent}' has no '{key}'{hint} It has {', '.join(KEYS)}.")
        if "until" not in stage and number < len(stages):
            raise KselectError(
                f"Stage {number} of agent '{agent}' has no end: give the share of the run at which it ends, `until`."
            )
        check_mapping(agent, "weights", stage.get("weights"))
        if stage.get("to") is not None:
            check_mapping(agent, "to", stage["to"])
    return stages


def check_mapping(agent: str, key: str, weights: Any) -> None:
    """Check weights by knowledge, given as `key`."""
    if not isinstance(weights, dict) or not weights:
        raise KselectError(f"Agent '{agent}' needs weights by knowledge, such as {key}: {{gold: 1}}.")
    for knowledge, weight in weights.items():
        check_range(f"The weight of {knowledge}", weight, SHARE)
    if not any(weights.values()):
        raise KselectError(f"Agent '{agent}' selects nothing: give at least one kind of knowledge a weight above 0.")


def stage_knowledge(stages: Stages) -> tuple[str, ...]:
    """Return the kinds of knowledge that stages name, in the order of their first use."""
    mappings = [stage.get(key) or {} for stage in stages for key in ("weights", "to")]
    return tuple(dict.fromkeys(str(name) for weights in mappings for name in weights))


def weights_any(stages: Stages, name: str) -> bool:
    """Return whether any stage gives a name a weight above 0.

    >>> weights_any([{"until": 0.5, "weights": {"hidden": 1}}, {"weights": {"gold": 1, "hidden": 0}}], "hidden")
    True
    """
    return any((stage.get(key) or {}).get(name, 0) > 0 for stage in stages for key in ("weights", "to"))


def selected_during(
    stages: Stages, begin: float = 0.0, end: float = 1.0
) -> tuple[tuple[Weights, Weights, float, float], ...]:
    """Return what stages select between two shares of a run; the same for all ways of writing a selection.

    Returns:
        In order: weights, those that they move to, and the shares of the run from and until which they hold. Weights
        that move come with the shares of their whole stage, which their course depends on.

    >>> selected_during([{"until": 0.5, "weights": {"gold": 1, "hidden": 0}}, {"weights": {"gold": 1.0}}])
    (((('gold', 1.0),), (), 0.0, 1.0),)
    """
    found: list[tuple[Weights, Weights, float, float]] = []
    start = 0.0
    for stage in stages:
        stop = stage.get("until", 1.0)
        if start < end and stop > begin:
            weights, to = (_not_zero(stage.get(key) or {}) for key in ("weights", "to"))
            if to:
                found.append((weights, to, start, stop))
            elif found and found[-1][:2] == (weights, ()):
                found[-1] = (weights, (), found[-1][2], min(stop, end))
            else:
                found.append((weights, (), max(start, begin), min(stop, end)))
        start = stop
    return tuple(found)


def _not_zero(weights: Mapping[str, float]) -> Weights:
    return tuple(sorted((name, weight) for name, weight in weights.items() if weight))


def row_stages(stages: Stages, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return stages with lists of weights in the order of `names`; a kind that a stage does not name weighs 0."""
    return [
        {
            **stage,
            **{key: [stage[key].get(name, 0) for name in names] for key in ("weights", "to") if stage.get(key)},
        }
        for stage in stages
    ]
