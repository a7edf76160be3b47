"""A run from names, paths and numbers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from kselect.config import EncoderConfig, KnowledgeConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.errors import UserError
from kselect.models.classifier import Classifier, load_classifier, load_encoder, load_student
from kselect.models.scratch import new_classifier
from kselect.models.shrink import shrink
from kselect.tasks.own_files import OwnFiles
from kselect.tasks.registry import load_task
from kselect.tasks.synthetic import SYNTHETIC_TASKS
from kselect.tasks.task import Task
from kselect.tasks.tokenizer import synthetic_tokenizer

SCRATCH_LENGTH = 64


def make_task(config: TaskConfig) -> Task:
    """Load the task that `config` describes.

    Raises:
        UserError: an unknown task, or whatever is wrong with its data.
    """
    return load_task(
        task_name(config),
        config.data_dir,
        files=own_files(config),
        reward_fraction=config.reward_fraction,
        seed=config.data_seed,
        train_limit=config.train_limit,
    )


def task_name(config: TaskConfig) -> str:
    """Return the task's name: as given, or that of the own data's file, or that of the synthetic task."""
    if config.task is None and config.own:
        return Path(str(config.train_file or config.test_file)).stem
    return config.task or next(iter(SYNTHETIC_TASKS))


def own_files(config: TaskConfig) -> OwnFiles | None:
    """Return the data of one's own that `config` describes, if it does."""
    if not config.own:
        return None
    given = {field.name: getattr(config, field.name) for field in fields(OwnFiles)}
    return OwnFiles(**{name: value for name, value in given.items() if value is not None})


def make_encoder(config: EncoderConfig, task: Task, max_length: int | None, seed: int) -> Classifier:
    """Load a pretrained encoder under a fresh head or, without one, make a small one from scratch.

    Raises:
        UserError: nothing to start from: a task without a vocabulary of its own needs an encoder.
    """
    if config.encoder is not None:
        return load_encoder(config.encoder, task, seed)
    if task.name not in SYNTHETIC_TASKS:
        raise UserError(f"{task.name} needs a pretrained encoder: give its folder or hub id as --encoder.")
    max_length = max_length or SCRATCH_LENGTH
    return new_classifier(
        task,
        synthetic_tokenizer(max_length),
        layers=config.encoder_layers,
        hidden_size=config.hidden_size,
        heads=config.heads,
        max_length=max_length,
        seed=seed,
    )


def make_distiller(
    task: TaskConfig, student: StudentConfig, training: TrainingConfig, knowledge: KnowledgeConfig, seed: int = 0
) -> Distiller:
    """Load task and teachers, shrink a student from the first teacher or load one, and set up the run.

    The head of a student that comes without one is drawn with `seed`.

    Raises:
        UserError: whatever is wrong with any of them.
    """
    loaded = make_task(task)
    teachers = [load_classifier(path, loaded) for path in student.teachers]
    if student.student is not None:
        learner = load_student(student.student, loaded, seed)
    else:
        assert student.kept_layers is not None
        learner = shrink(teachers[0], student.kept_layers)
    return Distiller(loaded, teachers, learner, training, knowledge, task.max_length)
