"""One pass of a classifier over labelled examples, and all that facts need of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.evaluation import answers_of, forward_batches
from kselect.distillation.teacher.sources import CANONICAL_BATCH
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs
from kselect.tasks.encoding import EncodedSplit


@dataclass(frozen=True)
class Reading:
    """What a classifier says of N examples of an encoded split.

    A position is a text or word that is classified, or a span that may be one. It counts where its label is known.

    Attributes:
        encoded: The split.
        indices: The examples, `[N]`.
        answers: The answer to each example, like its labels.
        confidence: Probability of the most probable class at each position, `[U]`.
        correct: Whether that class is the gold one, `[U]`.
        entropy: Entropy divided by log K, `[U]`.
        states: Last hidden states of each example, `[1, D]` of token 0, or `[w, D]` of its words; empty if not read.
    """

    encoded: EncodedSplit
    indices: NDArray[np.int64]
    answers: list[NDArray[Any]]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    entropy: NDArray[np.float64]
    states: list[NDArray[np.float32]]

    @property
    def labels(self) -> list[NDArray[Any]]:
        """The labels of each example: `[]`, or those of its words."""
        return [np.asarray(self.encoded.labels[index]) for index in self.indices]


@torch.no_grad()
def read(
    classifier: Classifier,
    encoded: EncodedSplit,
    indices: NDArray[np.int64],
    dtype: torch.dtype,
    with_states: bool = False,
) -> Reading:
    """Run a classifier without dropout over the examples `indices`, in batches that depend on nothing else."""
    last = classifier.layers
    needs = Needs(hidden_states=frozenset({last})) if with_states else Needs()
    answers: list[NDArray[Any]] = [np.empty(0)] * len(indices)
    states: list[NDArray[np.float32]] = [np.empty((0, 0), dtype=np.float32)] * len(indices) if with_states else []
    positions: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows, batch, outputs in forward_batches(classifier, encoded, indices, CANONICAL_BATCH, dtype, needs):
        if outputs.answer.choices_of is not None:
            positions.append(_positions(outputs, batch["labels"]))
        for row, answer in zip(rows, answers_of(outputs, encoded, indices[rows]), strict=True):
            answers[row] = answer
        if with_states:
            found = token_states(outputs.hidden_states[last], batch).float().cpu().numpy()
            for row, state in zip(rows, found, strict=True):
                states[row] = encoded.trimmed(state, int(indices[row]))
    confidence, correct, entropy = (
        (torch.cat(parts).cpu().numpy() for parts in zip(*positions, strict=True)) if positions else (np.empty(0),) * 3
    )
    return Reading(
        encoded, indices, answers, confidence.astype(float), correct.astype(bool), entropy.astype(float), states
    )


def returns_states(classifier: Classifier, encoded: EncodedSplit, dtype: torch.dtype) -> bool:
    """Return whether a classifier returns hidden states of all tokens, by running the first example."""
    try:
        read(classifier, encoded, np.array([0]), dtype, with_states=True)
    except KselectError:
        return False
    return True


def _positions(outputs: ModelOutputs, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return confidence, correctness and entropy at the positions of a batch whose label is known, `[u]` each."""
    choices, gold = outputs.answer.choices, outputs.answer.right_choices(labels)
    known = choices.mask & (gold >= 0)
    confidence, chosen = choices.detached.max(-1)
    return confidence.exp()[known], (chosen == gold)[known], choices.entropy[known]


def token_states(states: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Return the states, out of `[B, n, D]`, of token 0, `[B, 1, D]`, or of the words' first tokens, `[B, W, D]`."""
    if "word_positions" not in batch:
        return states[:, :1]
    return states.gather(1, batch["word_positions"][..., None].expand(-1, -1, states.size(-1)))
