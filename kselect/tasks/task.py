"""A task: splits, label names and metrics."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.tasks import metrics
from kselect.tasks.split import Split


@dataclass(frozen=True)
class Task:
    """Classification of sentences or pairs of them or, without label names, a regression to a score."""

    name: str
    """The name it is loaded by."""
    labels: tuple[str, ...]
    """Label names in the order of their ids, as a model's `id2label` has them; empty for a regression."""
    splits: dict[str, Split]
    """"train" to learn from, "reward" (held out of train) to choose by, "dev" and "dev_..." for reporting only."""
    metrics: tuple[str, ...]
    """Names of metrics; see `kselect.tasks.metrics`."""

    @property
    def num_labels(self) -> int:
        """Number of classes; 1, the score, in a regression."""
        return max(len(self.labels), 1)

    @property
    def regression(self) -> bool:
        """Whether labels are scores."""
        return not self.labels

    @property
    def reported(self) -> dict[str, str]:
        """Splits for reporting, and how their metrics' names begin: "" for dev, "mismatched/" for dev_mismatched."""
        extra = {name: name.removeprefix("dev_") + "/" for name in self.splits if name.startswith("dev_")}
        return {"dev": "", **extra}

    @property
    def uninformed_loss(self) -> float:
        """Gold loss of knowing nothing: log K in nats, or in a regression the variance of train's labels."""
        return float(np.var(self.splits["train"].labels)) if self.regression else math.log(self.num_labels)

    def predict(self, logits: NDArray[np.floating]) -> NDArray[np.generic]:
        """Return label ids `[n]`, or scores in a regression, from a model's logits `[n, K]`."""
        return logits[:, 0] if self.regression else logits.argmax(-1)

    def score(self, predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
        """Return each metric of this task and their plain mean as "score"; both sides are label ids or scores [n]."""
        return metrics.score(self.metrics, predictions, labels)

    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return what train's most frequent label (ties: the lower id) or mean score earns as the only answer."""
        gold = self.splits[split].labels
        if self.regression:
            return self.score(np.full(len(gold), np.mean(self.splits["train"].labels)), gold)
        counts = Counter(self.splits["train"].labels)
        majority = max(range(self.num_labels), key=lambda label: counts[label])
        return self.score(np.full(len(gold), majority), gold)
