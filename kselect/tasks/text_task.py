"""Classification of texts, and regressions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.tasks import metrics
from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.split import Split
from kselect.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TextTask(Task[Split]):
    """Classification of sentences or pairs of them or, without label names, a regression to a score."""

    @property
    def regression(self) -> bool:
        """Whether labels are scores."""
        return not self.labels

    @property
    def uninformed_loss(self) -> float:
        """Gold loss of knowing nothing: log K in nats, or in a regression the variance of train's labels."""
        return float(np.var(self.splits["train"].labels)) if self.regression else math.log(self.num_labels)

    def encode(self, split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedSplit:
        """Turn examples into token ids, at most `max_length` an example; see `kselect.tasks.encoding.encode`."""
        return encode(split, tokenizer, max_length)

    def predict(self, logits: NDArray[np.floating]) -> NDArray[np.generic]:
        """Return label ids `[n]`, or scores in a regression, from a model's logits `[n, K]`."""
        return logits[:, 0] if self.regression else logits.argmax(-1)

    def score_rows(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return each metric of what a model said of the examples `indices` of an encoded split, in their order."""
        return self.score(np.stack(predictions), encoded.labels[indices])

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
