"""Who looks on while a student is trained, and writes down what each example showed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.analysis.recording.gradient_rescaling import Places, check_softmax, rescaling_factor, true_confidence
from kselect.analysis.recording.table import Rows
from kselect.distillation.callback import DistillerCallback, MicroBatch
from kselect.distillation.distiller import Distiller


class ExampleRecorder(DistillerCallback):
    """Records a distiller's run from now on, until it is closed: a row of `rows` for each place at each training step.

    What it tells is worked out on the device, from what the step has computed anyway, and brought to the host at the
    end of a phase. Where the run goes back, to its start or to a snapshot, so do the rows.
    """

    def __init__(self, distiller: Distiller) -> None:
        """Look on from now on.

        Raises:
            KselectError: a student whose gold loss is not a softmax's at each place.
        """
        check_softmax(distiller.student.head.name)
        self.phases: list[Rows] = []
        train = distiller.encoded("train")
        self._numbers, self._first_words = train.numbers, train.first_words
        self._seen: list[tuple[int, NDArray[np.int64], Tensor]] = []
        self._callbacks = distiller.callbacks
        self._callbacks.append(self)

    def close(self) -> None:
        """Look on no more; the rows stay."""
        self._callbacks.remove(self)

    @property
    def rows(self) -> Rows:
        """All rows so far, in the order of the training steps."""
        return Rows.joined(self.phases)

    def on_losses(self, part: MicroBatch, total: Tensor) -> None:
        """Work out what a part of a step shows, and leave it on the device."""
        places, teacher = Places.of(part), part.teacher
        factor = rescaling_factor(part, total, places)
        with torch.no_grad():
            labels = torch.where(places.known, places.labels, -1)
            theirs = torch.full_like(factor, torch.nan)
            if teacher is not None and teacher.choices_of == part.student.choices_of:
                theirs = true_confidence(teacher, places.labels)
            ours = true_confidence(part.student, places.labels)
            # Class ids are exact in float32, so that everything goes to the host in one piece.
            self._seen.append((part.step, part.indices, torch.stack([labels.float(), theirs, ours, factor])))

    def on_phase_end(self) -> None:
        """Bring what the phase showed to the host."""
        if not self._seen:
            return
        seen, self._seen = self._seen, []
        label, theirs, ours, factor = torch.cat([table.flatten(1) for *_, table in seen], 1).cpu().numpy()
        steps, examples, words = np.concatenate([self._places(*one) for one in seen], 1)
        rows = Rows(steps, examples, words, label, theirs, ours, factor)
        self.phases.append(rows.where(rows.label >= 0))

    def on_rewind(self, step: int) -> None:
        """Forget what came after `step`."""
        self._seen = []
        kept = [rows.where(rows.step <= step) for rows in self.phases]
        self.phases = [rows for rows in kept if len(rows)]

    def _places(self, step: int, indices: NDArray[np.int64], table: Tensor) -> NDArray[np.int64]:
        """Return step, example and word of each place of a part, `[3, B * U]`."""
        words = self._first_words[indices][:, None] + np.arange(table.size(-1))
        examples = np.broadcast_to(self._numbers[indices][:, None], words.shape)
        return np.stack([np.full(words.size, step), examples.ravel(), words.ravel()])
