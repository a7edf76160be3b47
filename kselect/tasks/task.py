"""A task: splits, label names and metrics."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kselect.errors import KselectError
from kselect.tasks import metrics
from kselect.tasks.contributions import score_contributions
from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.metrics import check_metrics
from kselect.tasks.multi_label import constant_labels
from kselect.tasks.splits import Examples, Split, make_splits

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

S = TypeVar("S", bound=Examples)


@dataclass(frozen=True)
class Task(ABC, Generic[S]):
    """A task: examples with labels, splits and metrics."""

    name: str
    """Name of the task, as `load_task` accepts it."""
    labels: tuple[str, ...]
    """Label names in the order of their ids, as a model's `id2label` has them; empty for a regression."""
    splits: Mapping[str, S]
    """"train" to learn from, "reward" (held out of train) for rewards, "dev" and "dev_..." for reporting only."""
    metrics: tuple[str, ...]
    """Names of the metrics whose plain mean is the "score"."""
    usual_length: ClassVar[int | None] = 128
    """Default of the longest input in tokens; None for as many as the model takes."""

    @property
    def num_labels(self) -> int:
        """Number of classes; 1, the score, in a regression."""
        return max(len(self.labels), 1)

    @property
    def regression(self) -> bool:
        """Whether labels are scores."""
        return False

    @property
    def is_labelled(self) -> bool:
        """Whether the examples of train have labels; those of the other splits do."""
        return True

    @property
    def reported(self) -> dict[str, str]:
        """Splits for reporting, and how their metrics' names begin: "" for dev, "mismatched/" for dev_mismatched."""
        extra = {name: name.removeprefix("dev_") + "/" for name in self.splits if name.startswith("dev_")}
        return {"dev": "", **extra}

    def has_one_label(self, split: str) -> bool:
        """Whether all examples of a split have the same label, so that constant predictions are right."""
        return False

    @property
    def loss_unit(self) -> str:
        """Unit of the gold loss, and so of rewards."""
        return "of squared error" if self.regression else "nats"

    @property
    @abstractmethod
    def uninformed_loss(self) -> float:
        """Gold loss of an uninformed prediction, in nats."""

    @abstractmethod
    def encode(self, split: S, tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedSplit:
        """Encode examples as token ids, at most `max_length` per example."""

    @abstractmethod
    def score_rows(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return each metric, and "score", of predictions for the examples `indices` of an encoded split."""

    @abstractmethod
    def score_contributions(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what each example of the split contributes to the "score" of `score_rows`, `[n]`, in their order.

        See `kselect.tasks.contributions`. The pieces of a sentence are one example.
        """

    @abstractmethod
    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return the score of the best constant prediction."""


@dataclass(frozen=True)
class TextTask(Task[Split]):
    """Classification of sentences or pairs of them or, without label names, a regression to a score."""

    multi_label: bool = False
    """Whether a text may have several labels, or none; its label is then a row of 0 and 1, one for each label."""

    @property
    def regression(self) -> bool:
        """Whether labels are scores."""
        return not self.labels

    @property
    def is_labelled(self) -> bool:
        """Whether the texts of train have labels."""
        return self.splits["train"].is_labelled

    @property
    def labelled(self) -> Split:
        """Train or, where it has no labels, the reward split."""
        return self.splits["train" if self.is_labelled else "reward"]

    @property
    def uninformed_loss(self) -> float:
        """Gold loss of an uninformed prediction: log K in nats, or the variance of the scores in a regression.

        Where a text may have several labels, log 2: each of them is present or absent.
        """
        if self.multi_label:
            return math.log(2)
        return float(np.var(self.labelled.labels)) if self.regression else math.log(self.num_labels)

    def has_one_label(self, split: str) -> bool:
        """Whether all examples of a split have the same label or score."""
        return len(set(self.splits[split].labels)) == 1

    def encode(self, split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedSplit:
        """Encode examples as token ids, at most `max_length` per example; see `kselect.tasks.encoding.encode`."""
        return encode(split, tokenizer, max_length)

    def predict(self, logits: NDArray[np.floating]) -> NDArray[np.generic]:
        """Return label ids or scores `[n]`, or 0 and 1 for each of several labels `[n, K]`, from logits `[n, K]`."""
        if self.multi_label:
            return (logits > 0).astype(np.int64)
        return logits[:, 0] if self.regression else logits.argmax(-1)

    def score_rows(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return each metric of logits for the examples `indices` of an encoded split, in their order."""
        return self.score(np.stack(predictions), encoded.labels[indices])

    def score_contributions(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what each text contributes to the score, `[n]`."""
        return score_contributions(self.metrics, np.stack(predictions), encoded.labels[indices])

    def score(self, predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
        """Return each metric of this task and their plain mean as "score"; both sides are label ids or scores [n]."""
        return metrics.score(self.metrics, predictions, labels)

    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return the score of predicting the most frequent label (ties: the lower id), or the mean score, always."""
        gold = self.splits[split].labels
        if self.regression:
            return self.score(np.full(len(gold), np.mean(self.labelled.labels)), gold)
        if self.multi_label:
            return self.score(np.tile(constant_labels(self.labelled.labels), (len(gold), 1)), gold)
        counts = Counter(self.labelled.labels)
        majority = max(range(self.num_labels), key=lambda label: counts[label])
        return self.score(np.full(len(gold), majority), gold)


def build_task(
    name: str,
    labels: Sequence[str],
    splits: Mapping[str, Split],
    metrics: Sequence[str],
    *,
    reward_fraction: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
    multi_label: bool = False,
) -> TextTask:
    """Make a task of any data.

    Args:
        name: of the task, in results.
        labels: label names in id order; empty where labels are scores.
        splits: "train" and, unless a tenth of train is to be held out for it, "dev"; others whose names begin with
            "dev_" are reported in addition to it.
        metrics: names of `kselect.tasks.metrics`.
        reward_fraction: share of train that becomes the reward split; stratified, and removed from train.
        seed: of the splits that are drawn here.
        train_limit: use only so many examples of train (after the reward split is held out) and of dev, stratified.
        multi_label: whether a text may have several labels; `Split.labels` then are rows of 0 and 1, one for each.

    Raises:
        KselectError: metrics that do not suit the labels, too few examples, or scores that are all equal.
    """
    check_metrics(metrics, len(labels), multi_label)
    made = make_splits(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
    scores = made["train"].labels
    if not labels and len(set(scores)) == 1:
        raise KselectError(f"Every score of train is {scores[0]}: give examples whose scores differ.")
    return TextTask(name, tuple(labels), made, tuple(metrics), multi_label)
