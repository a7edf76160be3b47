"""A task whose answers are of words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kselect.tasks.task import Task
from kselect.tasks.words.encoding import EncodedWords
from kselect.tasks.words.split import Sentence, WordSplit


@dataclass(frozen=True)
class WordTask(Task[WordSplit[Sentence]]):
    """Something is said of each word of a sentence; a model reads as many tokens as it takes."""

    usual_length: ClassVar[int | None] = None

    @abstractmethod
    def answers(
        self, predictions: Sequence[NDArray[Any]], encoded: EncodedWords, indices: NDArray[np.int64]
    ) -> dict[int, Any]:
        """Return what predictions stand for, as files have it, by sentence; see `EncodedWords.whole`."""
