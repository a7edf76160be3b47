"""A task: splits, label names and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.tasks import metrics
from kselect.tasks.split import Split


@dataclass(frozen=True)
class Task:
    """A sentence or sentence-pair classification task."""

    name: str
    """The name it is loaded by."""
    labels: tuple[str, ...]
    """Label names in the order of their ids, as a model's `id2label` has them."""
    splits: dict[str, Split]
    """"train" to learn from, "reward" (held out of train) to choose by, "dev" for reporting only."""
    metrics: tuple[str, ...]
    """Names of metrics; see `kselect.tasks.metrics`."""

    @property
    def num_labels(self) -> int:
        """Number of classes."""
        return len(self.labels)

    def score(self, predictions: NDArray[np.integer], labels: ArrayLike) -> dict[str, float]:
        """Return each metric of this task and their plain mean as "score"; both sides are label ids [n]."""
        return metrics.score(self.metrics, predictions, labels)

    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return what always predicting train's most frequent label (ties: the lower id) scores."""
        counts = Counter(self.splits["train"].labels)
        majority = max(range(self.num_labels), key=lambda label: counts[label])
        gold = self.splits[split].labels
        return self.score(np.full(len(gold), majority), gold)
