"""The teacher of an ablation, measured before any student is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kselect.analysis.ablation.levels import DOMAIN, UNIVERSE
from kselect.analysis.class_similarity import similarity_shares
from kselect.analysis.predictions import Predictions, collect_predictions
from kselect.analysis.teacher_profile import TeacherProfile, profile_teacher
from kselect.config import AblationConfig, TrainingConfig
from kselect.distillation.device import find_device, resolve_precision
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import fixed_sample
from kselect.models.classifier import Classifier, input_length
from kselect.tasks.task import Task
from kselect.training.api import evaluated_teachers

MAX_EXAMPLES = 2000  # of train that the teacher is profiled on


@dataclass(frozen=True)
class AblationTeacher:
    """The teacher of an ablation.

    Attributes:
        profile: Measurements on train; its metrics are of dev.
        config: Settings of the ablation, with the strength of `label-smoothing` and `kd-sim`; see `match_smoothing`.
    """

    profile: TeacherProfile
    config: AblationConfig

    @property
    def non_target_mass(self) -> dict[str, float]:
        """Probability of wrong classes at temperature 1, by the two smoothed conditions and by the teacher on train."""
        smoothing, mass, classes = self.config.label_smoothing, self.config.similarity_mass, len(self.profile.labels)
        if smoothing is None or mass is None:
            raise ValueError("The strength of label-smoothing or kd-sim is missing: see match_smoothing.")
        teacher = 1 - self.profile.train.gold_probability
        return {UNIVERSE: smoothing * (classes - 1) / classes, DOMAIN: mass, "the teacher": teacher}


def predict_train(
    task: Task[Any], teacher: Classifier, training: TrainingConfig, max_length: int | None = None
) -> Predictions:
    """Return the teacher's predictions on train, or on a fixed sample of it; see `Distiller` for `max_length`."""
    train, longest = task.splits["train"], input_length(teacher, max_length, task.usual_length)
    encoded = task.encode(train.take(fixed_sample(len(train), MAX_EXAMPLES)), teacher.tokenizer, longest)
    device = teacher.to(find_device(training.device)).model.device
    return collect_predictions(teacher, encoded, training.batch_size, resolve_precision(training.precision, device))[0]


def profile_ablation_teacher(distiller: Distiller, config: AblationConfig, predictions: Predictions) -> AblationTeacher:
    """Evaluate the teacher on dev, and measure its predictions on train."""
    (metrics,) = evaluated_teachers(distiller)
    profile = profile_teacher(
        predictions,
        temperature=config.temperature,
        shares=similarity_shares(distiller.teachers[0], config.similarity_temperature),
        metrics=metrics,
    )
    return AblationTeacher(profile, config)
