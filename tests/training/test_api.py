"""What is told of the models at the end of a run."""

from __future__ import annotations

import pytest

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.shrink import shrink
from kselect.training.api import evaluated_teachers
from tests.tiny import tiny_classifier, tiny_task


def test_each_teacher_is_scored_as_a_student_that_is_its_equal_would_be() -> None:
    task = tiny_task()
    teachers = [tiny_classifier(task, layers=2, seed=seed) for seed in (0, 1)]
    metrics = evaluated_teachers(_run(task, teachers, shrink(teachers[0], 2)))
    for teacher, found in zip(teachers, metrics, strict=True):
        told = _run(task, teacher, shrink(teacher, 2)).evaluate("dev")
        assert found == pytest.approx({**told.metrics, "loss": told.loss}, rel=1e-6)
    assert metrics[0]["loss"] != metrics[1]["loss"]


def _run(task, teachers, student) -> Distiller:
    training = TrainingConfig(batch_size=8, epochs=1, precision="fp32")
    return Distiller(task, teachers, student, training, KnowledgeConfig(["gold", "logits"]), max_length=32)
