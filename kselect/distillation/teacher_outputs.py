"""Where a teacher's outputs come from: a forward pass for every batch, or memory."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from kselect.distillation.batches import sorted_batches
from kselect.distillation.precision import autocast
from kselect.distillation.ragged import Ragged
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs, forward
from kselect.tasks.encoding import EncodedSplit

CANONICAL_BATCH = 32
HALF_BYTES = 2


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
    """A forward pass for every batch, without gradient and without dropout."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        """Run `model` (moved to where the batches are beforehand) in arithmetic of `dtype`."""
        self.model = model.eval()
        self.dtype = dtype

    @torch.no_grad()
    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Run the teacher on `batch`."""
        with autocast(batch["input_ids"].device, self.dtype):
            return forward(self.model, batch, needs)


class RememberedTeacher:
    """A teacher whose outputs are computed once and read from memory ever after, by example.

    What is needed for the first time is computed for all examples in one canonical pass (fixed order, batches and
    padding; attention in a pass of its own), so what is read never depends on which run or batch came first. Real
    tokens only; inner outputs in half precision, logits in full. A kind of output that would not fit stays live.
    """

    def __init__(self, live: LiveTeacher, examples: EncodedSplit, offered: Needs, limit_bytes: float) -> None:
        """Remember what `live` gives on `examples`.

        Args:
            live: the teacher.
            examples: the training split.
            offered: all that may ever be read; what of it fits is decided here, hidden states first.
            limit_bytes: memory to be used at most.
        """
        self.live = live
        self.examples = examples
        config, lengths = live.model.config, examples.lengths.astype(np.int64)
        hidden_bytes = len(offered.hidden_states) * int(lengths.sum()) * config.hidden_size * HALF_BYTES
        attention_bytes = len(offered.attentions) * int((lengths**2).sum()) * config.num_attention_heads * HALF_BYTES
        fits_hidden = hidden_bytes <= limit_bytes
        fits_attention = attention_bytes <= limit_bytes - (hidden_bytes if fits_hidden else 0)
        self.held = Needs(
            hidden_states=offered.hidden_states if fits_hidden else frozenset(),
            attentions=offered.attentions if fits_attention else frozenset(),
        )
        self.logits: Tensor | None = None
        self.hidden_states: dict[int, Ragged] = {}
        self.attentions: dict[int, Ragged] = {}

    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Look the examples up, after computing what is not yet known of any."""
        if not (needs.hidden_states <= self.held.hidden_states and needs.attentions <= self.held.attentions):
            return self.live.read(indices, batch, needs)
        if needs.hidden_states and not self.hidden_states:
            self._remember(Needs(hidden_states=self.held.hidden_states))
        if needs.attentions and not self.attentions:
            self._remember(Needs(attentions=self.held.attentions))
        if self.logits is None:
            self._remember(Needs())
        assert self.logits is not None
        mask = batch["attention_mask"]

        def padded(ragged: Ragged) -> Tensor:
            return ragged.read(indices, mask.size(1)).to(mask.device).float()

        return ModelOutputs(
            logits=self.logits[torch.from_numpy(indices)].to(mask.device),
            attention_mask=mask,
            hidden_states={layer: padded(self.hidden_states[layer]) for layer in needs.hidden_states},
            attentions={layer: padded(self.attentions[layer]) for layer in needs.attentions},
        )

    def _remember(self, needs: Needs) -> None:
        """Run the canonical pass that keeps `needs`, and the logits with it unless attention changes the kernel."""
        config, lengths = self.live.model.config, self.examples.lengths
        logits = torch.empty(len(self.examples), config.num_labels)
        for layer in needs.hidden_states:
            self.hidden_states[layer] = Ragged(lengths, (None, config.hidden_size))
        for layer in needs.attentions:
            self.attentions[layer] = Ragged(lengths, (config.num_attention_heads, None, None))
        for indices in sorted_batches(lengths, CANONICAL_BATCH):
            batch = {name: value.to(self.live.model.device) for name, value in self.examples.batch(indices).items()}
            outputs = self.live.read(indices, batch, needs)
            logits[indices] = outputs.logits.float().cpu()
            for layer, hidden_states in outputs.hidden_states.items():
                self.hidden_states[layer].write(indices, hidden_states.half().cpu().numpy())
            for layer, attentions in outputs.attentions.items():
                self.attentions[layer].write(indices, attentions.half().cpu().numpy())
        if not needs.attentions:
            self.logits = logits
