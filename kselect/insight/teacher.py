"""A teacher examined, before anyone learns from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kselect.config import LadderConfig, TrainingConfig
from kselect.distillation.device import default_device
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import fixed_sample
from kselect.distillation.precision import resolve_precision
from kselect.insight.class_relations import ClassRelations
from kselect.insight.content import Content, contents_of
from kselect.insight.reading import read_sample
from kselect.insight.sample import Sample
from kselect.knowledge.levels import class_similarities
from kselect.models.classifier import Classifier
from kselect.models.input_length import input_length
from kselect.models.output_layer import output_layer
from kselect.study.episode import evaluated_teachers
from kselect.tasks.task import Task

READ = 2000  # examples of train


@dataclass(frozen=True)
class Teacher:
    """What is known of a teacher before anyone learns from it.

    metrics: on dev, as a student's are. contents: what it says of train at the temperature of the run, and at others.
    relations: of wrong classes on train, at that temperature; None for two classes. unevenness: of `kd-sim`'s target,
    see `unevenness`; None likewise. smoothing: share of the label smoothing that gives wrong classes what `kd-sim`
    gives them on the average. left: to wrong classes, on the average
    of train at temperature 1, by `label-smoothing`, `kd-sim` and the teacher.
    """

    metrics: dict[str, float]
    contents: list[Content]
    relations: ClassRelations | None
    unevenness: float | None
    smoothing: float
    left: tuple[float, float, float]


def read_train(task: Task[Any], teacher: Classifier, training: TrainingConfig, max_length: int | None = None) -> Sample:
    """Return what the teacher says of train, or of a fixed sample of it; see `Distiller` for `max_length`."""
    train, longest = task.splits["train"], input_length(teacher, max_length, task.usual_length)
    encoded = task.encode(train.take(fixed_sample(len(train), READ)), teacher.tokenizer, longest)
    device = teacher.to(default_device()).model.device
    return read_sample(teacher, encoded, training.batch_size, resolve_precision(training.precision, device))[0]


def read_teacher(distiller: Distiller, config: LadderConfig, sample: Sample) -> Teacher:
    """Score the teacher on dev, and tell apart what it says of a sample of train.

    Args:
        distiller: of any run of the ladder.
        config: of the ladder, with nothing left to be matched; see `matched`.
        sample: what `read_train` gave.
    """
    (metrics,) = evaluated_teachers(distiller)
    contents = contents_of(sample, config.temperature)
    assert config.label_smoothing is not None
    assert config.similarity_temperature is not None
    weight = output_layer(distiller.teachers[0].model).weight
    similarities = class_similarities(weight, config.similarity_temperature).cpu()
    classes, labels = len(similarities), torch.from_numpy(sample.labels)
    return Teacher(
        metrics=metrics,
        contents=contents,
        relations=ClassRelations.of(sample, contents[0].temperature, similarities.double().numpy()),
        unevenness=None if classes == 2 else unevenness(similarities, labels),
        smoothing=nearest_smoothing(similarities),
        left=(
            config.label_smoothing * (classes - 1) / classes,
            float((1 - similarities.diagonal())[labels].mean()),
            float(sample.of_wrong().mean()),
        ),
    )


def nearest_smoothing(similarities: Tensor) -> float:
    """Return the share of the label smoothing that gives wrong classes what `similarities [K, K]` do on average.

    With two classes, of which each is as like the other as that to it, the two are the same.
    """
    classes = similarities.size(0)
    wrong = similarities.sum() - similarities.diagonal().sum()
    return float(wrong / (classes - 1))


def unevenness(similarities: Tensor, labels: Tensor) -> float:
    """Return how far wrong classes are from all alike, in [0, 1], by the rows of `similarities [K, K]`, K > 2.

    The mean over `labels [N]` of the KL of the others' shares from uniform ones, over log(K - 1); at 0 `kd-sim` is a
    label smoothing.
    """
    classes = similarities.size(0)
    wrong = similarities.double() - torch.diag(similarities.diagonal().double())
    shares = wrong / wrong.sum(-1, keepdim=True)
    divergences = torch.xlogy(shares, shares * (classes - 1)).sum(-1)
    return float(divergences[labels].mean()) / math.log(classes - 1)
