"""Which kinds of knowledge two models have in common, and what it takes to distil them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.config.knowledge import entries_of
from kselect.distillation.distiller import Distiller
from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.outputs import GIBIBYTE
from kselect.distillation.teacher.sources import CachedTeacher, LiveTeacher
from kselect.errors import KselectError
from kselect.knowledge.base import Knowledge
from kselect.knowledge.layer_map import LayerMap
from kselect.knowledge.registry import build_knowledge, check_kinds, kinds_on_offer
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs
from kselect.tasks.encoding import EncodedSplit

Built = dict[str, Knowledge | KselectError]
"""Kinds of knowledge by name, each built or with the reason why it cannot be."""


@dataclass(frozen=True)
class KnowledgeFit:
    """Whether a kind of knowledge can be distilled between two models, and what that takes.

    Attributes:
        name: The kind of knowledge.
        obstacle: Why it cannot be distilled, and what to do; None where it can.
        layer_map: Pairs (student layer, teacher layer).
        projected: Whether a learned projection between widths is needed.
        bytes: Disk space of the teacher outputs that it needs, for all of train; some serve several kinds.
        cached: Whether these outputs fit into the cache; otherwise the teacher runs at every step.
    """

    name: str
    obstacle: str | None
    layer_map: LayerMap = ()
    projected: bool = False
    bytes: int = 0
    cached: bool = True


@dataclass(frozen=True)
class Compatibility:
    """What two models have in common.

    Attributes:
        layers: Number of layers of student and teacher.
        widths: Hidden sizes of student and teacher.
        fits: One entry for each kind of knowledge on offer.
        bytes: Disk space of all teacher outputs on offer, for all of train.
        limit: Size limit of the cache in bytes.
    """

    layers: tuple[int, int]
    widths: tuple[int, int]
    fits: tuple[KnowledgeFit, ...]
    bytes: int
    limit: float


def build_each(config: KnowledgeConfig, student: Classifier, teacher: Classifier) -> Built:
    """Build each kind of knowledge on offer separately, or find out why it cannot be built."""
    kinds = kinds_on_offer(config, student)
    check_kinds(config, kinds)
    built: Built = {}
    for name in kinds:
        settings: dict[str, Any] = {
            setting: entries_of(getattr(config, setting), [name]) for setting in ("scales", "layer_maps")
        }
        try:
            (built[name],) = build_knowledge(replace(config, knowledge=[name], **settings), student, [teacher])
        except KselectError as error:
            built[name] = error
    return built


def compare_models(
    teacher: Classifier,
    student: Classifier,
    knowledge: KnowledgeConfig,
    train: EncodedSplit,
    times: float,
    dtype: torch.dtype,
) -> tuple[Compatibility, bool]:
    """Find out what two models have in common, and what of the teacher's outputs fits into the cache.

    Returns:
        The comparison, and whether the teacher's logits are cached.
    """
    built, size_limit = build_each(knowledge, student, teacher), knowledge.teacher_cache * GIBIBYTE
    kinds = [kind for kind in built.values() if isinstance(kind, Knowledge)]
    needs = Needs.union(kind.teacher_needs for kind in kinds if kind.teacher_needs is not None)
    cache = None
    if size_limit:
        live = LiveTeacher([teacher.model], dtype)
        cache = CachedTeacher(live, train, needs, CacheFolder(knowledge.cache_dir), size_limit / times)
    pair = Compatibility(
        (student.layers, teacher.layers),
        (student.width, teacher.width),
        tuple(
            KnowledgeFit(name, str(kind)) if isinstance(kind, KselectError) else _fit(kind, cache, times)
            for name, kind in built.items()
        ),
        0 if cache is None else round(cache.bytes_of(needs) * times),
        size_limit,
    )
    return pair, cache is not None and cache.can_cache(Needs())


def _fit(kind: Knowledge, cache: CachedTeacher | None, times: float) -> KnowledgeFit:
    needs, projected = kind.teacher_needs, kind.modules is not None
    if needs is None or cache is None:
        return KnowledgeFit(kind.name, None, kind.layer_map, projected, cached=needs is None)
    size = round(cache.bytes_of(needs) * times)
    return KnowledgeFit(kind.name, None, kind.layer_map, projected, size, cache.can_cache(needs))


TIMED = 5  # training steps under each selection
SELECTIONS = {"gold": (1, 0), "gold + logits": (1, 1)}
TIMED_KNOWLEDGE = ["gold", "logits"]
TIMED_EPOCHS = float(TIMED + 1)  # enough steps, however small the sample


@dataclass(frozen=True)
class Cost:
    """Wall time of a run, extrapolated from a few training steps on a sample.

    Attributes:
        steps: Training steps of the run.
        step_seconds: Seconds of a training step by selection, without the teacher.
        batches: Batches of one epoch of train.
        teacher_batch_seconds: Seconds that the teacher takes for the logits of one batch.
        kept: Whether the teacher's logits are cached.
    """

    steps: int
    step_seconds: dict[str, float]
    batches: int
    teacher_batch_seconds: float
    kept: bool

    @property
    def teacher_seconds(self) -> float:
        """Seconds that the teacher takes in a run: one pass over train where its logits are cached, else every step."""
        return self.teacher_batch_seconds * (self.batches if self.kept else self.steps)

    def run_seconds(self, selection: str) -> float:
        """Return the seconds of a run under a selection, including the teacher where it is read."""
        reads_teacher = "logits" in selection
        return self.steps * self.step_seconds[selection] + (self.teacher_seconds if reads_teacher else 0.0)


def measure_cost(distiller: Distiller, training: TrainingConfig, examples: int, kept: bool) -> Cost:
    """Time a few training steps, the same batches under each selection."""
    batches = -(-examples // training.batch_size)
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in SELECTIONS}
    for name, selection in SELECTIONS.items():
        distiller.reset(0)
        for _ in range(1 + TIMED):  # the first step warms up
            distiller.account.settle()
            distiller.advance(selection, 1)
            spent[name].append(distiller.account.settle())
    # Medians are robust to a step that other work on the machine delayed.
    seconds = {name: median(step["student"] for step in steps[1:]) for name, steps in spent.items()}
    teacher = median(step["teacher"] for step in spent["gold + logits"][1:])
    return Cost(training.total_steps(batches), seconds, batches, teacher, kept)
