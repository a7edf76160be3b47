"""A task: splits, label names and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.examples import Examples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

S = TypeVar("S", bound=Examples)


@dataclass(frozen=True)
class Task(ABC, Generic[S]):
    """What is learned, whatever its examples are."""

    name: str
    """The name it is loaded by."""
    labels: tuple[str, ...]
    """Label names in the order of their ids, as a model's `id2label` has them; empty for a regression."""
    splits: Mapping[str, S]
    """"train" to learn from, "reward" (held out of train) to choose by, "dev" and "dev_..." for reporting only."""
    metrics: tuple[str, ...]
    """Names of the metrics whose plain mean is the "score"."""
    usual_length: ClassVar[int | None] = 128
    """Longest input in tokens unless another is asked for; None for as many as the model takes."""

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

    @property
    def loss_unit(self) -> str:
        """What the gold loss, and so a reward, is counted in."""
        return "of squared error" if self.regression else "nats"

    @property
    @abstractmethod
    def uninformed_loss(self) -> float:
        """Gold loss of knowing nothing, in nats."""

    @abstractmethod
    def encode(self, split: S, tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedSplit:
        """Turn examples into token ids, at most `max_length` an example."""

    @abstractmethod
    def score_rows(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedSplit, indices: NDArray[np.int64]
    ) -> dict[str, float]:
        """Return each metric, and "score", of what a model said of the examples `indices` of an encoded split."""

    @abstractmethod
    def constant_score(self, split: str = "dev") -> dict[str, float]:
        """Return what the best answer that is the same for all examples earns."""
