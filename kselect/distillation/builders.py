"""Builders of models and distillers from settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from kselect.config import EncoderConfig, KnowledgeConfig, StudentConfig, TaskConfig, TrainingConfig, check_head_of
from kselect.distillation.augmentation import RATE, augment
from kselect.distillation.distiller import Distiller
from kselect.distillation.overlap import check_overlap
from kselect.distillation.teacher.columns import with_columns
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.column_teacher import ColumnTeacher
from kselect.models.heads.registry import is_text
from kselect.models.loading import load_classifier, load_encoder, load_student
from kselect.models.scratch import new_classifier
from kselect.models.shrink import shrink
from kselect.models.word_classifier import is_trained, load_parser, with_head
from kselect.tasks.registry import make_task
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS, check_generated
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.task import Task

SCRATCH_LENGTH = 64


def make_encoder(config: EncoderConfig, task: Task, max_length: int | None, seed: int) -> Classifier:
    """Load a pretrained encoder with a randomly initialised head or, if none is set, create a small one from scratch.

    Args:
        config: settings of the encoder.
        task: the task.
        max_length: longest input in tokens of an encoder from scratch; `SCRATCH_LENGTH` by default.
        seed: for the initialisation.
    """
    if config.encoder is not None:
        return load_encoder(config.encoder, task, seed, config.head)
    check_generated(task.name)
    max_length = max_length or SCRATCH_LENGTH
    return new_classifier(
        task,
        synthetic_tokenizer(max_length, SYNTHETIC_TASKS[task.name].vocabulary()),
        layers=config.encoder_layers,
        hidden_size=config.hidden_size,
        heads=config.heads,
        max_length=max_length,
        seed=seed,
    )


@dataclass(frozen=True)
class Models:
    """The task and the models of a run, before the first training step.

    Attributes:
        parser: reads the same texts; None if none is set.
        head_is_random: whether the student's head is randomly initialised.
        augmenting: seconds that it took to augment the texts of the task.
    """

    task: Task
    teachers: list[Classifier]
    student: Classifier
    parser: Classifier | None
    head_is_random: bool = False
    augmenting: float = 0.0

    @property
    def answering(self) -> tuple[Classifier | ColumnTeacher, ...]:
        """The teachers, and behind them the one whose answers are columns of the data, if the task has them."""
        return with_columns(self.teachers, self.student, self.task)

    def distiller(self, training: TrainingConfig, knowledge: KnowledgeConfig, max_length: int | None) -> Distiller:
        """Create the distiller of these models; the time of augmentation is accounted as probing."""
        made = Distiller(self.task, self.teachers, self.student, training, knowledge, max_length, self.parser)
        made.account.seconds["probing"] += self.augmenting
        return made


def make_models(task: TaskConfig, student: StudentConfig, seed: int = 0, loaded: Task[Any] | None = None) -> Models:
    """Load the task and the teachers, and shrink a student from the first teacher or load one; augment the texts."""
    check_head_of(task.task_type, student.head)
    if student.parser is not None and task.task_type != "text":
        raise KselectError(
            f"parser is for whole texts, but task_type is {task.task_type}: leave it out.", setting="parser"
        )
    loaded = make_task(task) if loaded is None else loaded
    head_is_random = False
    teachers = [load_classifier(path, loaded) for path in student.teachers]
    if not student.allow_overlap:
        check_overlap(
            loaded, {path: each.training_texts for path, each in zip(student.teachers, teachers, strict=True)}
        )
    if student.student is not None:
        head_is_random = not is_text(loaded) and not is_trained(student.student, loaded, student.head)
        learner = load_student(student.student, loaded, seed, student.head)
    else:
        assert student.kept_layers is not None
        student.check_teacher(task.teacher_columns)
        learner = shrink(teachers[0], student.kept_layers)
        if student.head not in (None, learner.head.name):
            learner, head_is_random = with_head(learner, loaded, student.head, seed), True
    parser = None if student.parser is None else load_parser(student.parser)
    start = time.perf_counter()
    if task.augment is not None:
        rate = RATE if task.augment_rate is None else task.augment_rate
        loaded = augment(loaded, teachers[0], task.augment, rate, task.augment_model, task.data_seed)
    return Models(loaded, teachers, learner, parser, head_is_random, time.perf_counter() - start)


def make_distiller(
    task: TaskConfig, student: StudentConfig, training: TrainingConfig, knowledge: KnowledgeConfig, seed: int = 0
) -> Distiller:
    """Create the models, see `make_models`, and their distiller."""
    return make_models(task, student, seed).distiller(training, knowledge, task.max_length)
