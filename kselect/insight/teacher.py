"""A teacher examined, before anyone learns from it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from kselect.config import LadderConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import evaluate
from kselect.insight.content import read_content
from kselect.insight.explanation import Teacher
from kselect.knowledge.levels import Similarity


def examine(distiller: Distiller, config: LadderConfig) -> Teacher:
    """Score the teacher on dev, and read what it says of train; `kd-sim` must be on offer."""
    task, teacher = distiller.task, distiller.teachers[0]
    encoded = task.encode(task.splits["dev"], teacher.tokenizer, distiller.max_length)
    every, size = np.arange(len(encoded)), distiller.training.batch_size
    found = evaluate(teacher, task, encoded, every, size, distiller.dtype)
    (similarity,) = (knowledge for knowledge in distiller.knowledge if isinstance(knowledge, Similarity))
    return Teacher(
        metrics={**found.metrics, "loss": found.loss},
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
