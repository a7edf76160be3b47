"""What a student learns from beside its labels: what teachers and a parser say of the training examples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.config import KnowledgeConfig
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.parser import ParsedTexts
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher, TeacherOutputs, Watch
from kselect.knowledge.base import Knowledge
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.word_alignment import TextWords

GIBIBYTE = 2**30


class Teaching:
    """Teachers, and a parser, on one device; read from the cache as far as they may be kept there, or live.

    outputs: where what teachers say comes from in training steps; None without a teacher. parsed: what the parser says;
    None without one.
    """

    def __init__(
        self,
        teachers: Sequence[Classifier],
        train: EncodedSplit,
        knowledge: Sequence[Knowledge],
        offered: KnowledgeConfig,
        task: str,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Put the teachers on `device`; they are only read.

        Args:
            teachers: one, several whose logits have a mean, or none.
            train: the training examples.
            knowledge: what may be selected, and so read.
            offered: how much is kept, and where.
            task: its name, for people who look at the cache.
            device: where batches are.
            dtype: arithmetic of forward passes.

        Raises:
            KselectError: the cache's folder cannot be made.
        """
        self._offered, self._task, self._device, self._dtype = offered, task, device, dtype
        models = [teacher.to(device).model for teacher in teachers]
        self._live = LiveTeacher(models, dtype) if models else None
        # Neither drops anything out nor learns, whatever becomes of a student that has the same head.
        self._head = copy.deepcopy(teachers[0].head).eval().requires_grad_(False) if teachers else None
        needs = Needs.union(known.teacher_needs for known in knowledge if known.teacher_needs is not None)
        self.outputs = None if self._live is None else self._cached(self._live, train, needs)
        self.parsed: ParsedTexts | None = None

    def add_parser(self, parser: Classifier, words: TextWords) -> None:
        """Have the training texts, of these `words`, read by a parser as well.

        Raises:
            KselectError: a sentence that it does not take whole.
        """
        self.parsed = ParsedTexts(parser, words, self._device, self._dtype, partial(self._cached, needs=Needs()))

    def watch(self, watch: Watch) -> None:
        """Have `watch` told how far it is whenever outputs are computed for the cache."""
        for source in (self.outputs, self.parsed.kept if self.parsed else None):
            if isinstance(source, CachedTeacher):
                source.watch = watch

    def read(
        self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs, live: bool = False
    ) -> ModelOutputs:
        """Return what the teachers give for the training examples `indices [B]`, which `batch` has as tensors.

        With `live` nothing is looked up.
        """
        source = self._live if live else self.outputs
        assert source is not None
        assert self._head is not None
        return source.read(indices, batch, needs).under(self._head)

    def _cached(self, live: LiveTeacher, examples: EncodedSplit, needs: Needs) -> TeacherOutputs:
        """Return a source that keeps what `live` gives on `examples`, unless nothing is to be kept."""
        limit = self._offered.teacher_cache * GIBIBYTE
        if limit == 0:
            return live
        folder = CacheFolder(self._offered.cache_dir)
        folder.check()
        about = {"task": self._task, "teacher": ", ".join(str(model.name_or_path) for model in live.models)}
        return CachedTeacher(live, examples, needs, folder, limit, about)
