"""What a selection is made of, in numbers: what policies that are fitted to collected runs know of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kselect.agents.stages import Stages
from kselect.config import TEXT_SOURCES
from kselect.config.knowledge import LABEL_KNOWLEDGE, kind_of

PARTS = ("labels", "outputs", "inner", "texts")
"""What selections are made of: gold labels, outputs of the teacher, its inner states, and further texts."""
TRAITS = tuple(f"{part}_{which}" for which in ("mean", "change") for part in PARTS)
"""Whether a selection has each part, as a mean over the run, and as that of the second half less that of the first."""
OUTPUTS = (
    *("logits", "logits-mse", "reverse-kl", "jsd", "kd-sim", "kd-pt", "kd-pt-sim", "kd-top-k"),
    *("marginals", "substructures", "posterior", "best-sequences"),
)
HALF = 0.5


def traits_of(stages: Stages) -> tuple[float, ...]:
    """Return the `TRAITS` of a selection.

    A part counts as a whole wherever any kind of it has a weight, however small.

    >>> traits_of([{"until": 0.5, "weights": {"logits": 1, "transfer": 1}}, {"weights": {"gold": 1}}])
    (0.5, 0.5, 0.0, 0.5, 1.0, -1.0, 0.0, -1.0)
    >>> traits_of([{"weights": {"gold": 1, "logits": 0.5, "hidden": 0.1}}])
    (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """
    halves, start = np.zeros((2, len(PARTS))), 0.0
    for stage in stages:
        end = stage.get("until", 1.0)
        present = np.maximum(_parts(stage["weights"]), _parts(stage.get("to") or {}))
        for half, (begin, stop) in zip(halves, ((0.0, HALF), (HALF, 1.0)), strict=True):
            half += max(0.0, min(end, stop) - max(start, begin)) / HALF * present
        start = end
    found: list[float] = np.concatenate([halves.mean(axis=0), halves[1] - halves[0]]).round(6).tolist()
    return tuple(found)


def _parts(weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return 1 for each part that has a weight, `[4]`."""
    selected = {name for name, weight in weights.items() if weight}
    texts = selected.intersection(TEXT_SOURCES)
    kinds = {kind_of(name) for name in selected - texts}
    labels, outputs = kinds.intersection(LABEL_KNOWLEDGE), kinds.intersection(OUTPUTS)
    return np.array([labels, outputs, kinds - labels - outputs, texts], dtype=bool) * 1.0
