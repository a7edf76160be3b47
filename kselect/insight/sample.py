"""What a teacher says of some examples, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

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
