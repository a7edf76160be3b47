"""What models give for a split, place by place."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.evaluation import passes
from kselect.insight.sample import Floats, Sample
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.tasks.encoding import EncodedSplit


@torch.no_grad()
def read_sample(
    classifier: Classifier, encoded: EncodedSplit, batch_size: int, dtype: torch.dtype
) -> tuple[Sample, list[NDArray[Any]]]:
    """Return the scores of all places whose label is known, in no set order, and the answers to all examples."""
    every = np.arange(len(encoded))
    answers: list[NDArray[Any]] = [np.empty(0)] * len(encoded)
    scores, labels, owners = [], [], []
    for rows, batch, outputs in passes(classifier, encoded, every, batch_size, dtype):
        choices, right = outputs.answer.choices, outputs.answer.right_choices(batch["labels"])
        known = choices.mask & (right >= 0)
        scores.append(choices.scores[known].cpu().numpy())
        labels.append(right[known].cpu().numpy())
        owners.append(np.repeat(encoded.numbers[rows], known.sum(1).cpu().numpy()))
        for row, answer in zip(rows, outputs.answer.predict().cpu().numpy(), strict=True):
            answers[row] = encoded.trimmed(answer, int(row))
    return Sample.of(np.concatenate(scores), np.concatenate(labels), np.concatenate(owners)), answers


@torch.no_grad()
def read_states(classifier: Classifier, encoded: EncodedSplit, batch_size: int, dtype: torch.dtype) -> Floats:
    """Return the last layer's states at the places of `read_sample`, `[N, D]`: of a text at its first token."""
    last, found = classifier.layers, []
    needs = Needs(hidden_states=frozenset({last}))
    for _, batch, outputs in passes(classifier, encoded, np.arange(len(encoded)), batch_size, dtype, needs):
        found.append(_at_places(outputs.hidden_states[last], batch).double().cpu().numpy())
    return np.concatenate(found)


def _at_places(states: Tensor, batch: dict[str, Tensor]) -> Tensor:
    if "word_positions" not in batch:
        return states[:, 0]
    known = batch["word_mask"] & (batch["labels"] >= 0)
    positions = batch["word_positions"][..., None].expand(-1, -1, states.size(-1))
    return states.gather(1, positions)[known]
