"""Everything a student learns from apart from labels: the outputs of teachers and of a parser."""

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
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher, ProgressCallback, TeacherSource
from kselect.knowledge.base import Knowledge
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.models.outputs import ModelOutputs
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.word_alignment import TextWords

GIBIBYTE = 2**30


class TeacherOutputs:
    """Outputs of the teachers, and of a parser, for training examples; cached as far as settings allow.

    Attributes:
        source: source of the teachers' outputs in training steps; None without a teacher.
        parsed: source of the parser's outputs; None without a parser.
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
        """Move the teachers to `device`; they are never changed."""
        self._offered, self._task, self._device, self._dtype = offered, task, device, dtype
        models = [teacher.to(device).model for teacher in teachers]
        self._live = LiveTeacher(models, dtype) if models else None
        # A copy without dropout or gradients, independent of the student, which may share the teacher's head.
        self._head = copy.deepcopy(teachers[0].head).eval().requires_grad_(False) if teachers else None
        needs = Needs.union(kind.teacher_needs for kind in knowledge if kind.teacher_needs is not None)
        self.source = None if self._live is None else self._cached(self._live, train, needs)
        self.parsed: ParsedTexts | None = None

    def add_parser(self, parser: Classifier, words: TextWords) -> None:
        """Add a parser that reads the training texts, of these `words`."""
        self.parsed = ParsedTexts(parser, words, self._device, self._dtype, partial(self._cached, needs=Needs()))

    def set_progress(self, progress: ProgressCallback) -> None:
        """Call `progress` whenever outputs are computed for the cache."""
        for source in (self.source, self.parsed.source if self.parsed else None):
            if isinstance(source, CachedTeacher):
                source.progress = progress

    def outputs_for(
        self, indices: NDArray[np.int64], batch: dict[str, Tensor], needs: Needs, live: bool = False
    ) -> ModelOutputs:
        """Return the teachers' outputs for training examples."""
        source = self._live if live else self.source
        assert source is not None
        assert self._head is not None
        return source.outputs_for(indices, batch, needs).under(self._head)

    def _cached(self, live: LiveTeacher, examples: EncodedSplit, needs: Needs) -> TeacherSource:
        """Return a source that caches the outputs of `live` on `examples`; `live` itself if the cache is off."""
        limit = self._offered.teacher_cache * GIBIBYTE
        if limit == 0:
            return live
        folder = CacheFolder(self._offered.cache_dir)
        folder.ensure_exists()
        about = {"task": self._task, "teacher": ", ".join(str(model.name_or_path) for model in live.models)}
        return CachedTeacher(live, examples, needs, folder, limit, about)
