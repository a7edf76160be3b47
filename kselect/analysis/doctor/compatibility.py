"""Whether a teacher and a student go together, kind of knowledge by kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kselect.config import KnowledgeConfig
from kselect.distillation.teacher.sources import CachedTeacher
from kselect.errors import KselectError
from kselect.knowledge.base import Knowledge
from kselect.knowledge.layer_map import LayerMap
from kselect.knowledge.registry import build_knowledge, check_kinds, kinds_on_offer
from kselect.models.classifier import Classifier
from kselect.models.needs import Needs


@dataclass(frozen=True)
class Fit:
    """Whether a kind of knowledge can go from one model to the other, and what that takes."""

    name: str
    obstacle: str | None
    """Why it cannot, in words that say what to do."""
    layer_map: LayerMap = ()
    """Pairs (student layer, teacher layer)."""
    projected: bool = False
    """Whether a map between widths must be learned for it."""
    bytes: int = 0
    """What the teacher's outputs for it take on disk, for all of train; some serve other kinds, too."""
    cached: bool = True
    """Whether they fit into the cache, as they come; what does not costs a pass of the teacher in each step."""


@dataclass(frozen=True)
class Pair:
    """A teacher and a student, and what is on offer between them.

    Widths and layers are (student's, teacher's). bytes: of all outputs on offer. limit: bytes of the cache.
    """

    layers: tuple[int, int]
    widths: tuple[int, int]
    fits: tuple[Fit, ...]
    bytes: int
    limit: float


Built = dict[str, Knowledge | KselectError]
"""Kinds of knowledge by name, or why one cannot be."""


def build_each(config: KnowledgeConfig, student: Classifier, teacher: Classifier) -> Built:
    """Make each kind on offer by itself, or find out why that cannot be.

    Raises:
        KselectError: an unknown kind; a setting of one that is not on offer.
    """
    kinds = kinds_on_offer(config, student)
    check_kinds(config, kinds)
    found: Built = {}
    for name in kinds:
        settings: dict[str, Any] = {
            setting: {kind: value for kind, value in getattr(config, setting).items() if kind == name}
            for setting in ("scales", "layer_maps")
        }
        try:
            (found[name],) = build_knowledge(replace(config, knowledge=[name], **settings), student, [teacher])
        except KselectError as error:
            found[name] = error
    return found


def fits(built: Built, cache: CachedTeacher | None, times: float) -> tuple[Fit, ...]:
    """Tell of each kind that was built, or not, what it takes.

    Args:
        built: what `build_each` gave.
        cache: of all their needs on a sample of train; None where nothing is to be kept.
        times: how many times the sample all of train is.
    """
    return tuple(
        Fit(name, str(knowledge)) if isinstance(knowledge, KselectError) else _fit(knowledge, cache, times)
        for name, knowledge in built.items()
    )


def needs_of(built: Built) -> Needs:
    """Return all that the kinds which could be built read of the teacher."""
    kinds = [one for one in built.values() if isinstance(one, Knowledge)]
    return Needs.union(one.teacher_needs for one in kinds if one.teacher_needs is not None)


def _fit(knowledge: Knowledge, cache: CachedTeacher | None, times: float) -> Fit:
    needs, projected = knowledge.teacher_needs, knowledge.modules is not None
    if needs is None or cache is None:
        return Fit(knowledge.name, None, knowledge.layer_map, projected, cached=needs is None)
    size = round(cache.bytes_of(needs) * times)
    return Fit(knowledge.name, None, knowledge.layer_map, projected, size, cache.can_cache(needs))
