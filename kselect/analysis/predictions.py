"""Class scores of a classifier on labelled examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from kselect.distillation.evaluation import answers_of, forward_batches
from kselect.distillation.facts.reading import token_states
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.stats import Estimate, ratio
from kselect.tasks.encoding import EncodedSplit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Scores of K classes at N positions, each a text or a word, with the gold labels.

    Attributes:
        logits: Scores `[N, K]` in float64.
        labels: Gold classes `[N]`.
        examples: Index of the example that each position belongs to, `[N]`.
    """

    logits: Floats
    labels: NDArray[np.int64]
    examples: NDArray[np.int64]

    @staticmethod
    def of(logits: ArrayLike, labels: ArrayLike, examples: ArrayLike | None = None) -> Predictions:
        """Build predictions from arrays.

        Args:
            logits: Scores `[N, K]`.
            labels: Gold classes `[N]`.
            examples: Example of each position `[N]`; by default every position is an example.

        Raises:
            ValueError: The shapes do not match, or there is no position or a single class.
        """
        scores, gold = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
        owners = np.arange(len(gold)) if examples is None else np.asarray(examples, dtype=np.int64)
        if scores.ndim != 2 or scores.shape[1] < 2 or not len(scores) == len(gold) == len(owners) > 0:
            raise ValueError(f"Scores {scores.shape}, labels {gold.shape}: give [N, K] and [N], K >= 2, N > 0.")
        return Predictions(scores, gold, owners)

    @staticmethod
    def of_probabilities(probabilities: ArrayLike, labels: ArrayLike) -> Predictions:
        """Build predictions from probabilities `[N, K]`; zeros count as the smallest positive number."""
        p = np.maximum(np.asarray(probabilities, dtype=np.float64), np.finfo(float).tiny)
        return Predictions.of(np.log(p), labels)

    @property
    def classes(self) -> int:
        """Number of classes, K."""
        return int(self.logits.shape[1])

    def __len__(self) -> int:
        """Number of positions, N."""
        return len(self.labels)

    def log_probabilities(self, temperature: float = 1.0) -> Floats:
        """Return the log-softmax of the scores divided by `temperature`, `[N, K]`."""
        return np.asarray(log_softmax(self.logits / temperature, axis=1))

    def losses(self, temperature: float = 1.0) -> Floats:
        """Return the cross-entropy with the gold label, `[N]` in nats."""
        return -self.gold_values(self.log_probabilities(temperature))

    def gold_values(self, values: Floats) -> Floats:
        """Return the entries of `values [N, K]` at the gold classes, `[N]`."""
        return np.asarray(np.take_along_axis(values, self.labels[:, None], 1)[:, 0])

    def gold_probability(self, temperature: float = 1.0) -> Floats:
        """Return the probability of the gold class, `[N]`."""
        return np.exp(-self.losses(temperature))

    def non_target_mass(self, temperature: float = 1.0) -> Floats:
        """Return the probability of all classes but the gold one, `[N]`."""
        return -np.expm1(-self.losses(temperature))

    def mean(self, values: ArrayLike) -> Estimate:
        """Estimate the mean of `values [N]`, one per position.

        Positions of the same example are not independent, so the error is that of a ratio of sums over examples
        (Cochran 1977, Sampling Techniques, chapter 6); with one position per example it is that of the plain mean.
        """
        _, owner = np.unique(self.examples, return_inverse=True)
        return ratio(np.bincount(owner, weights=np.asarray(values, dtype=np.float64)), np.bincount(owner))

    @cached_property
    def probabilities(self) -> Floats:
        """Probabilities `[N, K]` at temperature 1."""
        return np.asarray(softmax(self.logits, axis=1))

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class `[N]`."""
        return self.logits.argmax(1)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the most probable class is the gold one, `[N]`."""
        return self.predicted == self.labels

    @cached_property
    def confidence(self) -> Floats:
        """Probability of the most probable class, `[N]`."""
        return self.probabilities.max(1)

    @cached_property
    def entropy(self) -> Floats:
        """Entropy divided by log K, `[N]` in [0, 1]."""
        return np.asarray(-(self.probabilities * self.log_probabilities()).sum(1) / np.log(self.classes))


@torch.no_grad()
def collect_predictions(
    classifier: Classifier, encoded: EncodedSplit, batch_size: int, dtype: torch.dtype
) -> tuple[Predictions, list[NDArray[Any]]]:
    """Run a classifier over a split.

    Returns:
        The scores of all positions whose label is known, in no fixed order, and the prediction for each example.
    """
    answers: list[NDArray[Any]] = [np.empty(0)] * len(encoded)
    scores, labels, owners = [], [], []
    for rows, batch, outputs in forward_batches(classifier, encoded, np.arange(len(encoded)), batch_size, dtype):
        choices, gold = outputs.answer.choices, outputs.answer.right_choices(batch["labels"])
        known = choices.mask & (gold >= 0)
        scores.append(choices.scores[known].cpu().numpy())
        labels.append(gold[known].cpu().numpy())
        owners.append(np.repeat(encoded.numbers[rows], known.sum(1).cpu().numpy()))
        for row, answer in zip(rows, answers_of(outputs, encoded, rows), strict=True):
            answers[row] = answer
    return Predictions.of(np.concatenate(scores), np.concatenate(labels), np.concatenate(owners)), answers


@torch.no_grad()
def collect_states(classifier: Classifier, encoded: EncodedSplit, batch_size: int, dtype: torch.dtype) -> Floats:
    """Return the last hidden states `[N, D]` at the same positions as `collect_predictions`; of texts, at token 0."""
    last, states = classifier.layers, []
    needs = Needs(hidden_states=frozenset({last}))
    for _, batch, outputs in forward_batches(classifier, encoded, np.arange(len(encoded)), batch_size, dtype, needs):
        found = token_states(outputs.hidden_states[last], batch)
        known = batch["word_mask"] & (batch["labels"] >= 0) if "word_mask" in batch else slice(None)
        states.append(found[known].reshape(-1, found.size(-1)).double().cpu().numpy())
    return np.concatenate(states)
