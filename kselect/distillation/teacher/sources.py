"""A teacher whose outputs are computed once and read from disk ever after, by example, by whatever run wants them."""

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
from kselect.distillation.teacher.cache_entry import CacheEntry
from kselect.distillation.teacher.fingerprint import cache_key
from kselect.distillation.teacher.ragged import Ragged
from kselect.logging import get_logger
from kselect.models.needs import MATRICES, Needs
from kselect.models.outputs import ModelOutputs, average, forward, has_logits
from kselect.tasks.encoding import EncodedSplit


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


CANONICAL_BATCH = 32
LOGITS, WORD_STATES = "logits", "word_states"

Watch = Callable[[int, int], None]
"""Is told, while a pass runs, how many examples are done and how many there are."""


class CachedTeacher:
    """A source of teacher outputs in a cache on disk, filled kind by kind as they are first wanted.

    What is not there yet is computed for all examples in one canonical pass (fixed order, batches and padding; what
    takes explicit attention matrices in a pass of its own), so what is read never depends on which run or batch came
    first. Real tokens only; inner outputs in half precision, logits in full. A kind of output that would not fit stays
    live, and so does one with values beyond half precision.
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
        """Keep what `live` gives on `examples`, the first of which is run for its shapes; nothing is written yet.

        Args:
            live: the teacher.
            examples: the training split.
            offered: all that may ever be read; what of it fits is decided kind by kind, hidden states first. Half of
                a kind's layers would save nothing, as the pass for the other half computes them all.
            folder: where to keep it.
            limit_bytes: what of the cache this run may use at most; the logits of texts, a few numbers each, always
                fit. Where those of words do not, all is live.
            about: what the entry is of, for people.
        """
        self.live = live
        self.examples = examples
        self.offered = offered
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.about = {**(about or {}), "precision": str(live.dtype).removeprefix("torch.")}
        self.about |= {"examples": len(examples), "tokens": int(examples.lengths.sum())}
        self.watch: Watch | None = None
        self._values: dict[str, NDArray[Any]] = {}
        self._told = False
        self._batches = sorted_batches(examples.lengths, CANONICAL_BATCH)
        self._layouts = self._measured_layouts()

    @cached_property
    def entry(self) -> CacheEntry:
        """Where the outputs are kept."""
        return self.folder.entry(cache_key(self.live.models, self.live.dtype, self.examples))

    def bytes_of(self, needs: Needs) -> int:
        """Return how many bytes what `needs` names of the outputs on offer takes, and with it what heads read."""
        names = [self._output, *(_name(kind, layer) for kind, layers in needs.items() for layer in layers)]
        return sum(self._layouts[name].bytes for name in names)

    @property
    def held(self) -> Needs:
        """What is read from disk, sooner or later; anything else stays live."""
        beyond = {_kind(name) for name in self.entry.beyond if name in self._layouts}
        return self.offered.only(kind for kind in self._fitting if kind not in beyond)

    @property
    def live_alone(self) -> bool:
        """Whether nothing is kept, since what heads read cannot be, and comes from the pass that gives all else."""
        return self._output_bytes > self.limit_bytes or self._output in self.entry.beyond

    def read(self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs) -> ModelOutputs:
        """Look the examples up, after computing what is not yet known of any.

        Raises:
            KselectError: the cache cannot be written to, or its disk is full.
        """
        if self.holds(needs):
            self._fetch([kind for kind, layers in needs.items() if layers])
        if not self.holds(needs):  # it never did, or what has just been computed cannot be kept
            self._tell_live(needs)
            return self.live.read(indices, batch, needs)
        mask = batch["attention_mask"]

        def padded(name: str, width: int = mask.size(1)) -> Tensor:
            # Converted where it is compared, since half the bytes are half the way there.
            return send(self._layouts[name].read(self._values[name], indices, width), mask.device).float()

        words = batch.get("word_mask")
        return ModelOutputs.of(
            padded(self._output) if words is None else padded(self._output, words.size(1)),
            batch,
            {kind: {layer: padded(_name(kind, layer)) for layer in layers} for kind, layers in needs.items()},
        )

    def holds(self, needs: Needs) -> bool:
        """Whether what `needs` names is read from disk, sooner or later."""
        held = self.held
        return not self.live_alone and all(layers <= held.layers(kind) for kind, layers in needs.items())

    def _tell_live(self, needs: Needs) -> None:
        """Say, once, that the teacher runs in training steps, and why."""
        if self._told:
            return
        self._told = True
        kinds = [kind for kind, layers in needs.items() if not layers <= self.held.layers(kind)] or [self._output]
        allowed, wanted = (f"{size / 2**30:.2g}" for size in (self.limit_bytes, self.bytes_of(self.offered)))
        why = f"teacher_cache allows {allowed} GiB, and all that is on offer takes {wanted}"
        if {_kind(name) for name in self.entry.beyond}.intersection(kinds):
            why = "half precision cannot hold them"
        told = "The teacher runs in every training step that reads its %s, which are not kept in the cache: %s."
        get_logger().warning(told, " and ".join(kinds), why)

    def _fetch(self, kinds: Collection[str]) -> None:
        """Open the arrays of `kinds`, and the logits, after computing those that are not there."""
        if not self._missing(kinds):
            return
        with self.entry.filling():  # opened in here, too: once it is let go, somebody may clear it
            written: set[str] = set()
            while not self.live_alone and (missing := self._missing(kinds)):
                if lost := written.intersection(missing):
                    raise OSError(errno.EIO, f"{min(lost)} was written, and cannot be read")
                names = [name for name in missing if _kind(name) not in MATRICES] or missing
                self._fill(names)
                written.update(names)

    def _missing(self, kinds: Collection[str]) -> list[str]:
        """Open what is there, and return the names of what is not."""
        held = self.held
        names = [self._output, *(_name(kind, layer) for kind in kinds for layer in sorted(held.layers(kind)))]
        for name in names:
            if name not in self._values:
                values = self.entry.read(name, self._layouts[name])
                if values is not None:
                    self._values[name] = values
        return [name for name in names if name not in self._values]

    def _fill(self, names: Collection[str]) -> None:
        """Run the canonical pass that gives `names`."""
        inner = [name for name in names if name != self._output]
        needs = Needs.union(Needs(**{_kind(name): frozenset({_layer(name)})}) for name in inner)
        device = self.live.models[0].device
        done = 0
        with self.entry.adding({name: self._layouts[name] for name in names}, self.about) as addition:
            for indices in self._batches:
                batch = {name: value.to(device) for name, value in self.examples.batch(indices).items()}
                outputs = self.live.read(indices, batch, needs)
                for name, writer in addition.writers.items():
                    if name in addition.dropped:
                        continue
                    padded = outputs.output if name == self._output else outputs.layers(_kind(name))[_layer(name)]
                    values = self._layouts[name].pack(indices, padded)
                    writer.append(values)
                    if name != LOGITS and not np.isfinite(values).all():
                        addition.beyond.add(name)
                        addition.dropped |= {other for other in names if _kind(other) == _kind(name)}
                done += len(indices)
                if self.watch:
                    self.watch(done, len(self.examples))

    def _measured_layouts(self) -> dict[str, Ragged]:
        """Return the layout of every array that is offered, by name."""
        lengths, order = self.examples.lengths, np.concatenate(self._batches)
        first = {name: value.to(self.live.models[0].device) for name, value in self.examples.batch([0]).items()}
        outputs = self.live.read(np.array([0]), first, self.offered)

        def shape(kind: str, values: Tensor) -> tuple[int | None, ...]:
            if kind == "hidden_states":
                return (None, values.size(2))
            return (values.size(1), None, None if kind in MATRICES else values.size(3))

        inner = {
            _name(kind, layer): Ragged(lengths, order, shape(kind, values))
            for kind, _ in self.offered.items()
            for layer, values in outputs.layers(kind).items()
        }
        return {self._output: self._layout_of(outputs.output, order), **inner}

    def _layout_of(self, output: Tensor, order: NDArray[np.int64]) -> Ragged:
        """Return the layout of what heads read: the logits of a text, or what there is of each word."""
        words = self.examples.word_counts
        if words is None:
            return Ragged(self.examples.lengths, order, (output.size(-1),), np.float32)
        return Ragged(words, order, (None, output.size(-1)), np.float32 if self._output == LOGITS else np.float16)

    @cached_property
    def _output(self) -> str:
        """What heads read of these models, as it is called in the cache."""
        return LOGITS if has_logits(self.live.models[0]) else WORD_STATES

    @property
    def _output_bytes(self) -> int:
        """What heads read takes of the limit."""
        return 0 if self.examples.word_counts is None else self._layouts[self._output].bytes

    @cached_property
    def _fitting(self) -> list[str]:
        """The kinds that the limit has room for."""
        fitting, left = [], self.limit_bytes - self._output_bytes
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
