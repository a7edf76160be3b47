"""A teacher examined, before anyone learns from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kselect.analysis.ablation.levels import DOMAIN, UNIVERSE
from kselect.analysis.class_similarity import ClassRelations
from kselect.analysis.predictions import Sample, read_sample
from kselect.analysis.target_information import Content, contents_of
from kselect.config import LadderConfig, TrainingConfig
from kselect.distillation.device import default_device, resolve_precision
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import fixed_sample
from kselect.knowledge.target_levels import class_similarities, shares_of_wrong
from kselect.models.classifier import Classifier, input_length
from kselect.models.output_layer import output_layer
from kselect.tasks.task import Task
from kselect.training.api import evaluated_teachers

READ = 2000  # examples of train


@dataclass(frozen=True)
class Teacher:
    """What is known of a teacher before anyone learns from it.

    metrics: on dev, as a student's are. contents: what it says of train at the temperature at the start of the run, and
    at others. relations: of wrong classes on train, at that temperature; None for two classes. unevenness: of the
    likeness that `kd-sim` passes on, see `unevenness`; None likewise. config: of the ladder, with the strengths of
    `label-smoothing` and `kd-sim`. left: to wrong classes, by these two and by the teacher on train, at temperature 1.
    """

    metrics: dict[str, float]
    contents: list[Content]
    relations: ClassRelations | None
    unevenness: float | None
    config: LadderConfig
    left: dict[str, float]


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
    weight = output_layer(distiller.teachers[0].model).weight
    shares = shares_of_wrong(class_similarities(weight, config.similarity_temperature)).cpu()
    smoothing, mass, classes = config.label_smoothing, config.similarity_mass, sample.classes
    if smoothing is None or mass is None:
        raise ValueError("The strength of label-smoothing or kd-sim is not given: see `matched`.")
    return Teacher(
        metrics=metrics,
        contents=contents,
        relations=ClassRelations.of(sample, contents[0].temperature, shares.double().numpy()),
        unevenness=None if classes == 2 else unevenness(shares, torch.from_numpy(sample.labels)),
        config=config,
        left={
            UNIVERSE: smoothing * (classes - 1) / classes,
            DOMAIN: mass,
            "the teacher": float(sample.of_wrong().mean()),
        },
    )


def unevenness(shares: Tensor, labels: Tensor) -> float:
    """Return how far the `shares [K, K]` of wrong classes by gold class are from all alike, in nats.

    It is the mean over `labels [N]` of their KL from uniform ones; at 0 `kd-sim` is a label smoothing.
    """
    divergences = torch.xlogy(shares.double(), shares.double() * (shares.size(0) - 1)).sum(-1)
    return float(divergences[labels].mean())
