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


def needs_by_teachers(knowledge: Sequence[Knowledge]) -> dict[tuple[int, ...], Needs]:
    """Return what kinds of knowledge read, by the teachers that they read it of, the first teacher first."""
    needs: dict[tuple[int, ...], Needs] = {}
    for kind in sorted(knowledge, key=lambda kind: kind.teachers):
        if kind.teacher_needs is not None:
            needs[kind.teachers] = needs.get(kind.teachers, Needs()) | kind.teacher_needs
    return needs


class TeacherOutputs:
    """Outputs of the teachers, and of a parser, for training examples; cached as far as settings allow.

    Attributes:
        sources: sources of outputs in training steps, by the teachers whose outputs they are (`Knowledge.teachers`),
            the first teacher first; of those that knowledge on offer reads, or else of all. Empty without a teacher.
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
        # Copies without dropout or gradients, independent of the student, which may share a teacher's head.
        self._heads = [copy.deepcopy(teacher.head).eval().requires_grad_(False) for teacher in teachers]
        needs = needs_by_teachers(knowledge)
        if teachers and not needs:
            needs = {tuple(range(len(teachers))): Needs()}
        self._live = {read: LiveTeacher([models[i] for i in read], dtype) for read in needs}
        self.sources = {
            read: self._cached(live, train, needs[read], share=1 / len(needs)) for read, live in self._live.items()
        }
        self.parsed: ParsedTexts | None = None

    def add_parser(self, parser: Classifier, words: TextWords) -> None:
        """Add a parser that reads the training texts, of these `words`."""
        self.parsed = ParsedTexts(parser, words, self._device, self._dtype, partial(self._cached, needs=Needs()))

    def set_progress(self, progress: ProgressCallback) -> None:
        """Call `progress` whenever outputs are computed for the cache."""
        for source in (*self.sources.values(), self.parsed.source if self.parsed else None):
            if isinstance(source, CachedTeacher):
                source.progress = progress

    def outputs_for(
        self,
        teachers: tuple[int, ...],
        indices: NDArray[np.int64],
        batch: dict[str, Tensor],
        needs: Needs,
        live: bool = False,
    ) -> ModelOutputs:
        """Return the outputs of one of `sources` for training examples; see `TeacherSource.outputs_for`."""
        source = self._live[teachers] if live else self.sources[teachers]
        return source.outputs_for(indices, batch, needs).under(self._heads[teachers[0]])

    def _cached(self, live: LiveTeacher, examples: EncodedSplit, needs: Needs, share: float = 1.0) -> TeacherSource:
        """Return a source that caches the outputs of `live` on `examples`; `live` itself if the cache is off.

        It takes up to a `share` of the size limit, since what one teacher leaves must not depend on another.
        """
        limit = self._offered.teacher_cache * GIBIBYTE * share
        if limit == 0:
            return live
        folder = CacheFolder(self._offered.cache_dir)
        folder.ensure_exists()
        about = {"task": self._task, "teacher": ", ".join(str(model.name_or_path) for model in live.models)}
        return CachedTeacher(live, examples, needs, folder, limit, about)
