"""A run from names, paths and numbers."""

from __future__ import annotations

from kselect.config import KnowledgeConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import load_classifier
from kselect.models.shrink import shrink
from kselect.tasks.registry import load_task
from kselect.tasks.task import Task


def make_task(config: TaskConfig) -> Task:
    """Load the task that `config` describes.

    Raises:
        UserError: an unknown task, or whatever is wrong with its data.
    """
    return load_task(
        config.task,
        config.data_dir,
        reward_fraction=config.reward_fraction,
        seed=config.data_seed,
        train_limit=config.train_limit,
    )


def make_distiller(
    task: TaskConfig, student: StudentConfig, training: TrainingConfig, knowledge: KnowledgeConfig
) -> Distiller:
    """Load task and teacher, shrink a student from the teacher, and set up the run.

    Raises:
        UserError: whatever is wrong with any of them.
    """
    loaded = make_task(task)
    teacher = load_classifier(student.teacher, loaded)
    return Distiller(loaded, teacher, shrink(teacher, student.layers), training, knowledge, task.max_length)
