"""An exported model as a function, from batches to answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect.export.formats import Graph
from kselect.export.scripts.decoding import DECODERS, decode

WORD_AXES = {"arcs": 2, "relations": 2, "scores": 2, "siblings": 3, "grandparents": 3}
"""Number of leading axes of an output that count words (or, after words, the root and words); one by default."""


@dataclass(frozen=True)
class Session:
    """A graph, ready to run, and what `predict.json` says of it."""

    graph: Graph
    facts: Mapping[str, Any]

    def scores(self, batch: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the outputs for a batch of arrays or tensors on the CPU, by name."""
        return self.graph.run({name: np.asarray(batch[name]) for name in self.graph.inputs})

    def answers(self, scores: Mapping[str, NDArray[Any]], batch: Mapping[str, Any]) -> list[NDArray[Any]]:
        """Return the answer to each example of a batch, like its labels; see `Predictions.answers`."""
        head = self.facts["head"]
        if head in DECODERS:
            counts = np.asarray(batch["word_mask"]).sum(1).tolist()
            return [decode(_of_sentence(scores, row, count), self.facts) for row, count in enumerate(counts)]
        logits = scores["logits"]
        if head == "labels":
            return list((logits > 0).astype(np.int64))
        return list(logits[:, 0] if head == "score" else logits.argmax(-1))


def _of_sentence(scores: Mapping[str, NDArray[Any]], row: int, count: int) -> dict[str, NDArray[Any]]:
    """Return the scores of one sentence of a batch, without padding."""
    found = {}
    for name, values in scores.items():
        axes = WORD_AXES.get(name, 1)
        heads = name != "scores" and axes > 1  # the last of these axes has the root first
        sizes = [count] * (axes - 1) + [count + heads]
        found[name] = values[row][tuple(slice(size) for size in sizes)]
    return found
