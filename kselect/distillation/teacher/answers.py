"""Sources of a teacher's answers alone: in its own tokens, from columns of the data, or the mean of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.device import send
from kselect.distillation.teacher.sources import TeacherSource
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, average
from kselect.tasks.encoding import EncodedSplit


class OwnTokensSource:
    """Reads a teacher with another tokenizer than the student's, on the same examples in its own tokens."""

    def __init__(self, source: TeacherSource, examples: EncodedSplit, device: torch.device) -> None:
        """Read `source` on `examples`, the training examples in the teacher's tokens."""
        self._source = source
        self._examples = examples
        self._device = device

    def outputs_for(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Return the answers; see `TeacherSource.outputs_for`."""
        own = {name: send(value, self._device) for name, value in self._examples.batch(indices).items()}
        outputs = self._source.outputs_for(indices, own, needs)
        return replace(outputs, attention_mask=batch["attention_mask"])


class ColumnSource:
    """Looks up logits that the data have for each example; see `kselect.models.column_teacher`."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        """Answer with `logits` of all training examples, `[N, K]`."""
        self._logits = torch.from_numpy(logits)

    def outputs_for(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Return the answers; see `TeacherSource.outputs_for`."""
        mask = batch["attention_mask"]
        return ModelOutputs(send(self._logits[torch.from_numpy(indices)], mask.device), mask)


class MeanSource:
    """Averages the logits of sources that do not read the same tokens."""

    def __init__(self, sources: Sequence[TeacherSource]) -> None:
        """Average `sources`."""
        self._sources = sources

    def outputs_for(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Return the mean of the answers; see `TeacherSource.outputs_for`."""
        return average([source.outputs_for(indices, batch, needs) for source in self._sources])
