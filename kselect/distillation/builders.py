"""A run from names, paths and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kselect.config import EncoderConfig, KnowledgeConfig, StudentConfig, TaskConfig, TrainingConfig, check_head_of
from kselect.distillation.distiller import Distiller
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
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
    """Load a pretrained encoder under a fresh head or, without one, make a small one from scratch.

    Raises:
        KselectError: nothing to start from: a task without a vocabulary of its own needs an encoder; a head for other
            tasks.
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
    """What is learned, from whom, and by whom; the student is as it is before its first training step.

    parser: reads the same texts, where one was asked for. fresh_head: whether words are answered by a head that was
    never trained, but drawn for this student.
    """

    task: Task
    teachers: list[Classifier]
    student: Classifier
    parser: Classifier | None
    fresh_head: bool = False

    def distiller(self, training: TrainingConfig, knowledge: KnowledgeConfig, max_length: int | None) -> Distiller:
        """Set up the run of these models."""
        return Distiller(self.task, self.teachers, self.student, training, knowledge, max_length, self.parser)


def make_models(task: TaskConfig, student: StudentConfig, seed: int = 0, loaded: Task[Any] | None = None) -> Models:
    """Load task and teachers, and shrink a student from the first teacher or load one.

    The head of a student that comes without one, or with another than asked for, is drawn with `seed`. `loaded` is the
    task, where somebody has it already.

    Raises:
        KselectError: whatever is wrong with any of them.
    """
    check_head_of(task.task_type, student.head)
    if student.parser is not None and task.task_type != "text":
        raise KselectError(f"parser is for whole texts, and task_type is {task.task_type}: leave it out.")
    loaded = make_task(task) if loaded is None else loaded
    fresh = False
    teachers = [load_classifier(path, loaded) for path in student.teachers]
    if student.student is not None:
        fresh = not is_text(loaded) and not is_trained(student.student, loaded, student.head)
        learner = load_student(student.student, loaded, seed, student.head)
    else:
        assert student.kept_layers is not None
        learner = shrink(teachers[0], student.kept_layers)
        if student.head not in (None, learner.head.name):
            learner, fresh = with_head(learner, loaded, student.head, seed), True
    return Models(loaded, teachers, learner, None if student.parser is None else load_parser(student.parser), fresh)


def make_distiller(
    task: TaskConfig, student: StudentConfig, training: TrainingConfig, knowledge: KnowledgeConfig, seed: int = 0
) -> Distiller:
    """Make the models, see `make_models`, and set up the run.

    Raises:
        KselectError: whatever is wrong with any of them.
    """
    return make_models(task, student, seed).distiller(training, knowledge, task.max_length)
