"""A distiller callback that records every example at every training step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.analysis.recording.gradient_rescaling import (
    Positions,
    check_softmax,
    rescaling_factor,
    target_probability,
)
from kselect.analysis.recording.table import ExampleTable
from kselect.distillation.callback import DistillerCallback, MicroBatch
from kselect.distillation.distiller import Distiller


class ExampleRecorder(DistillerCallback):
    """Record one row for each position at each training step, until closed.

    Values are computed on the device from what the step has computed anyway, and copied to the host at the end of a
    phase. Where the run is rewound, to its start or to a snapshot, so is the recording.
    """

    def __init__(self, distiller: Distiller) -> None:
        """Attach to a distiller.

        Raises:
            KselectError: The student's gold loss is not the cross-entropy of a softmax at each position.
        """
        check_softmax(distiller.student.head.name)
        self.phases: list[ExampleTable] = []
        train = distiller.encoded("train")
        self._numbers, self._first_words = train.numbers, train.first_words
        self._pending: list[tuple[int, NDArray[np.int64], Tensor]] = []
        self._callbacks = distiller.callbacks
        self._callbacks.append(self)

    def close(self) -> None:
        """Detach from the distiller; the recorded rows remain."""
        self._callbacks.remove(self)

    @property
    def rows(self) -> ExampleTable:
        """All rows so far, in the order of the training steps."""
        return ExampleTable.concatenate(self.phases)

    def on_losses(self, part: MicroBatch, total: Tensor) -> None:
        """Compute the values of a micro-batch, and leave them on the device."""
        positions, teacher = Positions.of(part), part.teacher
        factor = rescaling_factor(part, total, positions)
        with torch.no_grad():
            labels = torch.where(positions.known, positions.labels, -1)
            teacher_confidence = torch.full_like(factor, torch.nan)
            if teacher is not None and teacher.choices_of == part.student.choices_of:
                teacher_confidence = target_probability(teacher, positions.labels)
            confidence = target_probability(part.student, positions.labels)
            # Class ids are exact in float32, so that everything is copied to the host at once.
            values = torch.stack([labels.float(), teacher_confidence, confidence, factor])
            self._pending.append((part.step, part.indices, values))

    def on_advance_end(self) -> None:
        """Copy the values of the last training steps to the host."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        columns = torch.cat([values.flatten(1) for *_, values in pending], 1).cpu().numpy()
        keys = np.concatenate([self._keys(step, indices, values.size(-1)) for step, indices, values in pending], 1)
        rows = ExampleTable(*keys, *columns)
        self.phases.append(rows.where(rows.label >= 0))

    def on_rewind(self, step: int) -> None:
        """Drop the rows after `step`."""
        self._pending = []
        remaining = [rows.where(rows.step <= step) for rows in self.phases]
        self.phases = [rows for rows in remaining if len(rows)]

    def _keys(self, step: int, indices: NDArray[np.int64], width: int) -> NDArray[np.int64]:
        """Return step, example and word of each position of a micro-batch, `[3, B * U]`."""
        words = self._first_words[indices][:, None] + np.arange(width)
        examples = np.broadcast_to(self._numbers[indices][:, None], words.shape)
        return np.stack([np.full(words.size, step), examples.ravel(), words.ravel()])
