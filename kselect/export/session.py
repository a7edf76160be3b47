"""An exported model on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kselect.export.scripts.decoding import DECODERS, decode

WORD_AXES = {"arcs": 2, "relations": 2, "scores": 2, "siblings": 3, "grandparents": 3}
"""Number of leading axes of an output that count words (or, after words, the root and words); one by default."""


@dataclass(frozen=True)
class Session:
    """A graph, ready to run, and what `predict.json` says of it."""

    runtime: onnxruntime.InferenceSession
    facts: Mapping[str, Any]

    @staticmethod
    def load(path: Path, facts: Mapping[str, Any], threads: int | None = None) -> Session:
        """Load a graph onto the CPU.

        Args:
            path: the file of the graph.
            facts: as in `predict.json`.
            threads: how many an operator uses; by default as many as there are cores.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = threads
        return Session(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]), facts)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(each.name for each in self.runtime.get_inputs())

    def scores(self, batch: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the outputs for a batch of arrays or tensors on the CPU, by name."""
        names = [each.name for each in self.runtime.get_outputs()]
        values = self.runtime.run(names, {name: np.asarray(batch[name]) for name in self.inputs})
        return dict(zip(names, values, strict=True))

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
