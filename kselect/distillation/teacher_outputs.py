"""Where a teacher's outputs come from: a forward pass for every batch, or memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from kselect.distillation.batches import sorted_batches
from kselect.distillation.precision import autocast
from kselect.distillation.ragged import Ragged
from kselect.models.needs import KINDS, Needs
from kselect.models.outputs import ModelOutputs, average, forward
from kselect.tasks.encoding import EncodedSplit

CANONICAL_BATCH = 32
HALF_BYTES = 2
MATRICES = ("attentions", "attention_scores")


class TeacherOutputs(Protocol):
    """A source of a teacher's outputs on training examples."""

    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Return the outputs that `needs` names.

        Args:
            indices: which training examples, `[B]`, for a source that looks them up.
            batch: those examples as tensors on the device, for a source that computes them.
            needs: the layers wanted.
        """
        ...


class LiveTeacher:
    """A forward pass for every batch, without gradient and without dropout; the mean of several teachers' logits."""

    def __init__(self, models: Sequence[PreTrainedModel], dtype: torch.dtype) -> None:
        """Run `models` (moved to where the batches are beforehand) in arithmetic of `dtype`."""
        self.models = [model.eval() for model in models]
        self.dtype = dtype

    @torch.no_grad()
    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Run every teacher on `batch`."""
        with autocast(batch["input_ids"].device, self.dtype):
            return average([forward(model, batch, needs) for model in self.models])


class RememberedTeacher:
    """A teacher whose outputs are computed once and read from memory ever after, by example.

    What is needed for the first time is computed for all examples in one canonical pass (fixed order, batches and
    padding; what takes explicit attention matrices in a pass of its own), so what is read never depends on which run
    or batch came first. Real tokens only; inner outputs in half precision, logits in full. A kind of output that would
    not fit stays live, and so does one with values beyond half precision.
    """

    def __init__(self, live: LiveTeacher, examples: EncodedSplit, offered: Needs, limit_bytes: float) -> None:
        """Remember what `live` gives on `examples`.

        Args:
            live: the teacher.
            examples: the training split.
            offered: all that may ever be read; what of it fits is decided here, kind by kind, hidden states first.
            limit_bytes: memory to be used at most.
        """
        self.live = live
        self.examples = examples
        self.logits: Tensor | None = None
        self.inner: dict[str, dict[int, Ragged]] = {}
        self.shapes = self._measured_shapes(offered)
        lengths = examples.lengths.astype(np.int64)
        held, left = [], limit_bytes
        for kind, _ in offered.items():
            shapes = self.shapes[kind].values()
            fixed = sum(math.prod(axis for axis in shape if axis is not None) for shape in shapes)
            size = HALF_BYTES * fixed * int((lengths ** (2 if kind in MATRICES else 1)).sum())
            if size <= left:
                held.append(kind)
                left -= size
        self.held = offered.only(held)

    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Look the examples up, after computing what is not yet known of any."""
        if self._holds(needs):
            unknown = [kind for kind, layers in needs.items() if layers and kind not in self.inner]
            for matrices in (False, True):
                kinds = [kind for kind in unknown if (kind in MATRICES) == matrices]
                if kinds:
                    self._remember(self.held.only(kinds))
        if not self._holds(needs):  # it never did, or what has just been computed cannot be kept
            return self.live.read(indices, batch, needs)
        if self.logits is None:
            self._remember(Needs())
        assert self.logits is not None
        mask = batch["attention_mask"]

        def padded(ragged: Ragged) -> Tensor:
            return ragged.read(indices, mask.size(1)).to(mask.device).float()

        return ModelOutputs(
            logits=self.logits[torch.from_numpy(indices)].to(mask.device),
            attention_mask=mask,
            **{kind: {layer: padded(self.inner[kind][layer]) for layer in layers} for kind, layers in needs.items()},
        )

    def _holds(self, needs: Needs) -> bool:
        return all(layers <= self.held.layers(kind) for kind, layers in needs.items())

    def _remember(self, needs: Needs) -> None:
        """Run the canonical pass that keeps `needs`, and the logits with it unless matrices change the kernel."""
        config, lengths = self.live.models[0].config, self.examples.lengths
        device = self.live.models[0].device
        logits = torch.empty(len(self.examples), config.num_labels)
        for kind, layers in needs.items():
            if layers:
                self.inner[kind] = {layer: Ragged(lengths, self.shapes[kind][layer]) for layer in layers}
        for indices in sorted_batches(lengths, CANONICAL_BATCH):
            batch = {name: value.to(device) for name, value in self.examples.batch(indices).items()}
            outputs = self.live.read(indices, batch, needs)
            logits[indices] = outputs.logits.float().cpu()
            for kind, _ in needs.items():
                for layer, values in outputs.layers(kind).items():
                    self.inner[kind][layer].write(indices, values.half().cpu().numpy())
        if not needs.matrices:
            self.logits = logits
        for kind, layers in needs.items():
            if layers and not all(np.isfinite(ragged.values).all() for ragged in self.inner[kind].values()):
                del self.inner[kind]
                self.held = self.held.only(other for other in KINDS if other != kind)

    def _measured_shapes(self, offered: Needs) -> dict[str, dict[int, tuple[int | None, ...]]]:
        """Return the shape of an example's outputs by kind and layer, None standing for its length."""
        first = {name: value.to(self.live.models[0].device) for name, value in self.examples.batch([0]).items()}
        outputs = self.live.read(np.array([0]), first, offered)

        def shape(kind: str, values: Tensor) -> tuple[int | None, ...]:
            if kind == "hidden_states":
                return (None, values.size(2))
            return (values.size(1), None, None if kind in MATRICES else values.size(3))

        return {
            kind: {layer: shape(kind, values) for layer, values in outputs.layers(kind).items()}
            for kind, _ in offered.items()
        }
