"""What a teacher says of some examples, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from torch import Tensor

from kselect.distillation.evaluation import forward_batches
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.tasks.encoding import EncodedSplit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Scores of K classes at N places, texts or words, in float64.

    logits: `[N, K]`. labels: gold classes, `[N]`. examples: which example each place is of, `[N]`.
    """

    logits: Floats
    labels: NDArray[np.int64]
    examples: NDArray[np.int64]

    @staticmethod
    def of(logits: ArrayLike, labels: ArrayLike, examples: ArrayLike | None = None) -> Sample:
        """Take scores `[N, K]`; without `examples` each place is an example of its own.

        Raises:
            ValueError: shapes that do not go together, no place, or a single class.
        """
        scores, gold = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
        owners = np.arange(len(gold)) if examples is None else np.asarray(examples, dtype=np.int64)
        if scores.ndim != 2 or scores.shape[1] < 2 or not len(scores) == len(gold) == len(owners) > 0:
            raise ValueError(f"Scores {scores.shape}, labels {gold.shape}: give [N, K] and [N], K >= 2, N > 0.")
        return Sample(scores, gold, owners)

    @staticmethod
    def of_probabilities(probabilities: ArrayLike, labels: ArrayLike) -> Sample:
        """Take probabilities `[N, K]`; zeros count as the smallest number above."""
        return Sample.of(np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), np.finfo(float).tiny)), labels)

    @property
    def classes(self) -> int:
        """K."""
        return int(self.logits.shape[1])

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    def log_probabilities(self, temperature: float = 1.0) -> Floats:
        """Return the log-softmax of the scores over `temperature`, `[N, K]`."""
        found: Floats = log_softmax(self.logits / temperature, axis=1)
        return found

    def losses(self, temperature: float = 1.0) -> Floats:
        """Return `-log p(y)`, `[N]` in nats."""
        return -self.of_gold(self.log_probabilities(temperature))

    def of_gold(self, values: Floats) -> Floats:
        """Return what `values [N, K]` has at the gold classes, `[N]`."""
        found: Floats = np.take_along_axis(values, self.labels[:, None], 1)[:, 0]
        return found

    def of_wrong(self, temperature: float = 1.0) -> Floats:
        """Return the probability of all classes but the gold one, `[N]`."""
        return -np.expm1(self.of_gold(self.log_probabilities(temperature)))

    @cached_property
    def probabilities(self) -> Floats:
        """`[N, K]`."""
        return np.exp(self.log_probabilities())

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """The most probable class, `[N]`."""
        return self.logits.argmax(1)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether that is the gold one, `[N]`."""
        return self.answers == self.labels

    @cached_property
    def confidence(self) -> Floats:
        """Its probability, `[N]`."""
        return self.probabilities.max(1)

    @cached_property
    def entropy(self) -> Floats:
        """Entropy over log K, `[N]` in [0, 1]."""
        found: Floats = -(self.probabilities * self.log_probabilities()).sum(1) / np.log(self.classes)
        return found


@torch.no_grad()
def read_sample(
    classifier: Classifier, encoded: EncodedSplit, batch_size: int, dtype: torch.dtype
) -> tuple[Sample, list[NDArray[Any]]]:
    """Return the scores of all places whose label is known, in no set order, and the answers to all examples."""
    every = np.arange(len(encoded))
    answers: list[NDArray[Any]] = [np.empty(0)] * len(encoded)
    scores, labels, owners = [], [], []
    for rows, batch, outputs in forward_batches(classifier, encoded, every, batch_size, dtype):
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
    for _, batch, outputs in forward_batches(classifier, encoded, np.arange(len(encoded)), batch_size, dtype, needs):
        found.append(_at_places(outputs.hidden_states[last], batch).double().cpu().numpy())
    return np.concatenate(found)


def _at_places(states: Tensor, batch: dict[str, Tensor]) -> Tensor:
    if "word_positions" not in batch:
        return states[:, 0]
    known = batch["word_mask"] & (batch["labels"] >= 0)
    positions = batch["word_positions"][..., None].expand(-1, -1, states.size(-1))
    return states.gather(1, positions)[known]
