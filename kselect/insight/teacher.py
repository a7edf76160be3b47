"""A teacher examined, before anyone learns from it."""

from __future__ import annotations

from torch import Tensor

from kselect.config import LadderConfig
from kselect.distillation.distiller import Distiller
from kselect.insight.content import read_content
from kselect.insight.explanation import Teacher
from kselect.knowledge.levels import Similarity
from kselect.study.episode import evaluated_teachers


def read_teacher(distiller: Distiller, config: LadderConfig) -> Teacher:
    """Score the teacher on dev, and read what it says of train; `kd-sim` must be on offer."""
    (metrics,) = evaluated_teachers(distiller)
    (similarity,) = (knowledge for knowledge in distiller.knowledge if isinstance(knowledge, Similarity))
    return Teacher(
        metrics=metrics,
        contents=read_content(distiller, config),
        smoothing=nearest_smoothing(similarity.similarities),
    )


def nearest_smoothing(similarities: Tensor) -> float:
    """Return the share of the label smoothing that gives wrong classes what `similarities [K, K]` do on average.

    With two classes, of which each is as like the other as that to it, the two are the same.
    """
    classes = similarities.size(0)
    wrong = similarities.sum() - similarities.diagonal().sum()
    return float(wrong / (classes - 1))
