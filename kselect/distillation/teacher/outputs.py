"""Everything a student learns from apart from labels: the outputs of teachers and of a parser."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kselect.config import KnowledgeConfig
from kselect.distillation.teacher.answers import ColumnSource, MeanSource, OwnTokensSource
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.parser import ParsedTexts
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher, ProgressCallback, TeacherSource
from kselect.knowledge.base import Knowledge
from kselect.models.classifier import Classifier
from kselect.models.column_teacher import ColumnTeacher
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
        teachers: Sequence[Classifier | ColumnTeacher],
        train: EncodedSplit,
        knowledge: Sequence[Knowledge],
        offered: KnowledgeConfig,
        task: str,
        device: torch.device,
        dtype: torch.dtype,
        own_tokens: Mapping[int, EncodedSplit] | None = None,
        columns: NDArray[np.float32] | None = None,
    ) -> None:
        """Move the teachers to `device`; they are never changed.

        Args:
            teachers: the teachers.
            train: the training examples, in the student's tokens.
            knowledge: the kinds of knowledge on offer.
            offered: settings of the cache.
            task: name of the task, for the cache's description.
            device: device of the models.
            dtype: dtype of forward passes.
            own_tokens: the training examples as those teachers read them that tokenise otherwise, by teacher.
            columns: logits of a teacher that is columns of the data, `[N, K]`.
        """
        self._offered, self._task, self._device, self._dtype = offered, task, device, dtype
        self._teachers, self._train, self._own_tokens, self._columns = teachers, train, own_tokens or {}, columns
        self._caches: list[CachedTeacher] = []
        for teacher in teachers:
            if isinstance(teacher, Classifier):
                teacher.to(device)
        # Copies without dropout or gradients, independent of the student, which may share a teacher's head.
        self._heads = [copy.deepcopy(teacher.head).eval().requires_grad_(False) for teacher in teachers]
        needs = needs_by_teachers(knowledge)
        if teachers and not needs:
            needs = {tuple(range(len(teachers))): Needs()}
        made = {read: self._make(read, needs[read], share=1 / len(needs)) for read in needs}
        self._live = {read: live for read, (live, _) in made.items()}
        self.sources = {read: source for read, (_, source) in made.items()}
        self.parsed: ParsedTexts | None = None

    def add_parser(self, parser: Classifier, words: TextWords) -> None:
        """Add a parser that reads the training texts, of these `words`."""
        self.parsed = ParsedTexts(parser, words, self._device, self._dtype, partial(self._cached, needs=Needs()))

    def set_progress(self, progress: ProgressCallback) -> None:
        """Call `progress` whenever outputs are computed for the cache."""
        for cache in self._caches:
            cache.progress = progress

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

    def _make(self, read: tuple[int, ...], needs: Needs, share: float) -> tuple[TeacherSource, TeacherSource]:
        """Return the sources of live and of cached outputs of the teachers `read`, whose logits are averaged."""
        models = [teacher.model for i in read if isinstance(teacher := self._teachers[i], Classifier)]
        if len(read) > 1 and (len(models) < len(read) or not self._own_tokens.keys().isdisjoint(read)):
            pairs = [self._make((i,), needs, share / len(read)) for i in read]
            live, cached = zip(*pairs, strict=True)
            return MeanSource(live), MeanSource(cached)
        if not models:
            assert self._columns is not None
            columns = ColumnSource(self._columns)
            return columns, columns
        running, own = LiveTeacher(models, self._dtype), self._own_tokens.get(read[0])
        if own is None:
            return running, self._cached(running, self._train, needs, share)
        stored = self._cached(running, own, needs, share)
        return OwnTokensSource(running, own, self._device), OwnTokensSource(stored, own, self._device)

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
        cached = CachedTeacher(live, examples, needs, folder, limit, about)
        self._caches.append(cached)
        return cached
