"""Sources of a teacher's outputs on training examples: live forward passes, or a cache on disk."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from kselect.distillation.device import autocast, send
from kselect.distillation.sampler import sorted_batches
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.cache_entry import Addition, CacheEntry
from kselect.distillation.teacher.fingerprint import cache_key
from kselect.distillation.teacher.ragged import RaggedLayout
from kselect.logging import get_logger
from kselect.models.needs import MATRICES, Needs
from kselect.models.outputs import ModelOutputs, average, forward, has_logits
from kselect.tasks.encoding import EncodedSplit

CANONICAL_BATCH = 32
LOGITS, WORD_STATES = "logits", "word_states"

ProgressCallback = Callable[[int, int], None]
"""Called during a pass over all examples with the number of examples done and their total."""


class TeacherSource(Protocol):
    """A source of a teacher's outputs on training examples."""

    def outputs_for(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Return the outputs that `needs` names.

        Args:
            indices: the training examples, `[B]`, for a source that looks them up.
            batch: the same examples as tensors on the device, for a source that computes outputs.
            needs: the layers wanted.
        """
        ...


class LiveTeacher:
    """Runs a forward pass for every batch, without gradient or dropout; averages the logits of several teachers."""

    def __init__(self, models: Sequence[PreTrainedModel], dtype: torch.dtype) -> None:
        """Run `models` in `dtype`."""
        self.models = [model.eval() for model in models]
        self.dtype = dtype

    @torch.no_grad()
    def outputs_for(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Run every teacher on `batch`."""
        with autocast(batch["input_ids"].device, self.dtype):
            return average([forward(model, batch, needs) for model in self.models])


class CachedTeacher:
    """Reads a teacher's outputs from a cache on disk, computing each kind of output when it is first needed.

    A missing kind is computed for all examples in one canonical pass with fixed order, batches and padding (attention
    matrices in a pass of their own), so cached outputs do not depend on which run or batch came first. Only real tokens
    are stored; inner outputs in half precision, logits in full. A kind that exceeds the size limit, or has values
    outside half precision, is computed live.

    Attributes:
        progress: called during a canonical pass, if set.
    """

    def __init__(
        self,
        live: LiveTeacher,
        examples: EncodedSplit,
        offered: Needs,
        folder: CacheFolder,
        limit_bytes: float,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare to cache the outputs of `live` on `examples`; runs the first example, and writes nothing yet.

        Args:
            live: the teacher.
            examples: the training split.
            offered: all outputs that may ever be read. Kinds are cached as a whole or not at all, hidden states first,
                since a pass that computes some of the layers costs as much as one that computes all.
            folder: where to store them.
            limit_bytes: how much of the cache this run may use. Logits of texts, a few numbers per example, are always
                cached; if the outputs for words exceed the limit, everything is live.
            about: description of the entry for people.
        """
        self.live = live
        self.examples = examples
        self.offered = offered
        self.limit_bytes = limit_bytes
        self.progress: ProgressCallback | None = None
        self._folder = folder
        self._about = {**(about or {}), "precision": str(live.dtype).removeprefix("torch.")}
        self._about |= {"examples": len(examples), "tokens": int(examples.lengths.sum())}
        self._values: dict[str, NDArray[Any]] = {}
        self._warned_live = False
        self._batches = sorted_batches(examples.lengths, CANONICAL_BATCH)
        self._layouts = self._measure_layouts()

    @cached_property
    def entry(self) -> CacheEntry:
        """The cache entry that holds the outputs."""
        return self._folder.entry(cache_key(self.live.models, self.live.dtype, self.examples))

    @property
    def cacheable(self) -> Needs:
        """Outputs that are read from disk, once they have been computed; all others are computed live."""
        overflowing = {_kind(name) for name in self.entry.overflowing if name in self._layouts}
        return self.offered.only(kind for kind in self._fitting if kind not in overflowing)

    @property
    def is_live_only(self) -> bool:
        """Whether nothing is cached, because what heads read cannot be, and needs a forward pass anyway."""
        return self._head_input_bytes > self.limit_bytes or self._head_input in self.entry.overflowing

    def can_cache(self, needs: Needs) -> bool:
        """Return whether all outputs in `needs` are read from disk, once they have been computed."""
        cacheable = self.cacheable
        return not self.is_live_only and all(layers <= cacheable.layers(kind) for kind, layers in needs.items())

    def bytes_of(self, needs: Needs) -> int:
        """Return the size in bytes of the outputs in `needs` and of what heads read."""
        names = [self._head_input, *(_name(kind, layer) for kind, layers in needs.items() for layer in layers)]
        return sum(self._layouts[name].bytes for name in names)

    def outputs_for(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Look up examples, after computing for all examples what is missing."""
        if self.can_cache(needs):
            self._load([kind for kind, layers in needs.items() if layers])
        if not self.can_cache(needs):  # checked again, since computed values may turn out to overflow
            self._warn_live(needs)
            return self.live.outputs_for(indices, batch, needs)
        mask = batch["attention_mask"]

        def padded(name: str, width: int = mask.size(1)) -> Tensor:
            # Converted on the device, since half precision halves the bytes to transfer.
            return send(self._layouts[name].unpack(self._values[name], indices, width), mask.device).float()

        words = batch.get("word_mask")
        return ModelOutputs.of(
            padded(self._head_input) if words is None else padded(self._head_input, words.size(1)),
            batch,
            {kind: {layer: padded(_name(kind, layer)) for layer in layers} for kind, layers in needs.items()},
        )

    def _warn_live(self, needs: Needs) -> None:
        """Log once that the teacher runs in training steps, and why."""
        if self._warned_live:
            return
        self._warned_live = True
        kinds = [kind for kind, layers in needs.items() if not layers <= self.cacheable.layers(kind)]
        kinds = kinds or [self._head_input]
        if {_kind(name) for name in self.entry.overflowing}.intersection(kinds):
            reason = "half precision cannot hold them"
        else:
            allowed, offered = (f"{size / 2**30:.2g}" for size in (self.limit_bytes, self.bytes_of(self.offered)))
            reason = f"teacher_cache allows {allowed} GiB, and all outputs on offer take {offered}"
        message = "The teacher runs in every training step that reads its %s, which are not cached: %s."
        get_logger().warning(message, " and ".join(kinds), reason)

    def _load(self, kinds: Collection[str]) -> None:
        """Open the arrays of `kinds` and of what heads read, after computing those that are missing."""
        if not self._open(kinds):
            return
        with self.entry.filling():  # arrays are opened under the lock too, before another process can clear them
            computed: set[str] = set()
            while not self.is_live_only and (missing := self._open(kinds)):
                if lost := computed.intersection(missing):
                    raise OSError(errno.EIO, f"{min(lost)} was written, and cannot be read")
                names = [name for name in missing if _kind(name) not in MATRICES] or missing
                self._compute(names)
                computed.update(names)

    def _open(self, kinds: Collection[str]) -> list[str]:
        """Open the arrays of `kinds` and of what heads read; returns the names of those that are missing."""
        cacheable = self.cacheable
        inner = [_name(kind, layer) for kind in kinds for layer in sorted(cacheable.layers(kind))]
        names = [self._head_input, *inner]
        for name in names:
            if name not in self._values:
                values = self.entry.open_array(name, self._layouts[name])
                if values is not None:
                    self._values[name] = values
        return [name for name in names if name not in self._values]

    def _compute(self, names: Collection[str]) -> None:
        """Run the canonical pass that computes the arrays `names`, and write them."""
        inner = [name for name in names if name != self._head_input]
        needs = Needs.union(Needs(**{_kind(name): frozenset({_layer(name)})}) for name in inner)
        device = self.live.models[0].device
        done = 0
        with self.entry.adding({name: self._layouts[name] for name in names}, self._about) as addition:
            for indices in self._batches:
                batch = {name: value.to(device) for name, value in self.examples.batch(indices).items()}
                self._write(indices, self.live.outputs_for(indices, batch, needs), addition)
                done += len(indices)
                if self.progress:
                    self.progress(done, len(self.examples))

    def _write(self, indices: NDArray[np.int64], outputs: ModelOutputs, addition: Addition) -> None:
        """Append a batch of outputs to the arrays being written; drops a kind with values outside half precision."""
        for name, writer in addition.writers.items():
            if name in addition.dropped:
                continue
            padded = outputs.output if name == self._head_input else outputs.layers(_kind(name))[_layer(name)]
            values = self._layouts[name].pack(indices, padded)
            writer.append(values)
            if name != LOGITS and not np.isfinite(values).all():
                addition.overflowing.add(name)
                addition.dropped |= {other for other in addition.writers if _kind(other) == _kind(name)}

    def _measure_layouts(self) -> dict[str, RaggedLayout]:
        """Return the layout of every array on offer, by name, from the shapes for the first example."""
        lengths, order = self.examples.lengths, np.concatenate(self._batches)
        first = {name: value.to(self.live.models[0].device) for name, value in self.examples.batch([0]).items()}
        outputs = self.live.outputs_for(np.array([0]), first, self.offered)

        def shape(kind: str, values: Tensor) -> tuple[int | None, ...]:
            if kind == "hidden_states":
                return (None, values.size(2))
            return (values.size(1), None, None if kind in MATRICES else values.size(3))

        layouts = {
            _name(kind, layer): RaggedLayout(lengths, order, shape(kind, values))
            for kind, _ in self.offered.items()
            for layer, values in outputs.layers(kind).items()
        }
        size, words = outputs.output.size(-1), self.examples.word_counts
        if words is None:
            head_input = RaggedLayout(lengths, order, (size,), np.float32)
        else:
            dtype = np.float32 if self._head_input == LOGITS else np.float16
            head_input = RaggedLayout(words, order, (None, size), dtype)
        return {self._head_input: head_input, **layouts}

    @cached_property
    def _head_input(self) -> str:
        """Name of the array that heads read: logits, or the last hidden states of words."""
        return LOGITS if has_logits(self.live.models[0]) else WORD_STATES

    @property
    def _head_input_bytes(self) -> int:
        """How much of the limit the array that heads read takes."""
        return 0 if self.examples.word_counts is None else self._layouts[self._head_input].bytes

    @cached_property
    def _fitting(self) -> list[str]:
        """The kinds of output that fit into the limit."""
        fitting, left = [], self.limit_bytes - self._head_input_bytes
        for kind, layers in self.offered.items():
            size = sum(self._layouts[_name(kind, layer)].bytes for layer in layers)
            if size <= left:
                fitting.append(kind)
                left -= size
        return fitting


def _name(kind: str, layer: int) -> str:
    return f"{kind}-{layer}"


def _kind(name: str) -> str:
    return name.partition("-")[0]


def _layer(name: str) -> int:
    return int(name.partition("-")[2])
