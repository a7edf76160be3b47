"""The loss of a batch that another training loop draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.distillation.callback import MicroBatch
from kselect.distillation.pair_forward import PairForward
from kselect.distillation.weighting import Weighting
from kselect.knowledge.base import Knowledge

NOWHERE = np.empty(0, dtype=np.int64)


class BatchLoss:
    """Computes the loss of a batch under a selection as a training step of the `Distiller` does, with a live teacher.

    Attributes:
        names: of the kinds of knowledge on offer, in the order of a selection.
        scales: factor on each kind's loss, `[k]`.
        trained: what is trained together with the student: projections of kinds of knowledge, and the weighting.
    """

    def __init__(
        self, knowledge: Sequence[Knowledge], pair: PairForward, weighting: Weighting, scales: NDArray[np.float32]
    ) -> None:
        """Compare a pair of models.

        Args:
            knowledge: the kinds of knowledge on offer.
            pair: runs the models.
            weighting: combines the losses.
            scales: factor on each kind's loss, `[k]`.
        """
        self.names = tuple(kind.name for kind in knowledge)
        modules = {kind.name: kind.modules for kind in knowledge if kind.modules is not None}
        self.trained = torch.nn.ModuleDict({**modules, "weighting": weighting})
        self.scales = scales
        self._knowledge, self._pair, self._weighting = tuple(knowledge), pair, weighting

    @property
    def reads_attention(self) -> bool:
        """Whether a kind of knowledge on offer reads inside the student's attention."""
        return any(kind.student_needs.inside_attention for kind in self._knowledge)

    def __call__(
        self,
        batch: Mapping[str, Tensor],
        weights: NDArray[np.float32],
        step: int,
        progress: float,
        computed: NDArray[np.int64] | None = None,
    ) -> tuple[Tensor, MicroBatch]:
        """Return the mean loss of a batch, and what it is made of.

        Args:
            batch: `input_ids`, `attention_mask`, `labels` and, where the models read them, `token_type_ids`, on the
                device of the models.
            weights: normalised, `[k]`.
            step: the training step, counted from 1.
            progress: share of the run that is over, in [0, 1).
            computed: which kinds are computed, by their indices; by default those with a weight.
        """
        selected = np.flatnonzero(weights) if computed is None else computed
        kinds = [self._knowledge[i] for i in selected]
        compared = self._pair.compare_batch(dict(batch), NOWHERE, kinds, step, progress, live=True)
        of_selected, scales = (
            torch.from_numpy(values[selected]).to(compared.losses.device) for values in (weights, self.scales)
        )
        names = tuple(kind.name for kind in kinds)
        total = self._weighting(compared.losses, of_selected, scales, names, compared.student)
        return total.mean(), compared
