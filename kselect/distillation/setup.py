"""A run from names, paths and numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kselect.config import EncoderConfig, KnowledgeConfig, StudentConfig, TaskConfig, TrainingConfig, check_head_of
from kselect.distillation.distiller import Distiller
from kselect.errors import UserError
from kselect.models.classifier import Classifier, load_classifier, load_encoder, load_student
from kselect.models.scratch import new_classifier
from kselect.models.shrink import shrink
from kselect.models.word_classifier import load_parser, with_head
from kselect.tasks import location
from kselect.tasks.own_files import OwnFiles
from kselect.tasks.registry import load_task
from kselect.tasks.synthetic import SYNTHETIC_TASKS
from kselect.tasks.task import Task
from kselect.tasks.tokenizer import synthetic_tokenizer
from kselect.tasks.words import TaggedSource, TreeSource
from kselect.tasks.words.source import WordSource

SCRATCH_LENGTH = 64
SOURCES: dict[str, type[TaggedSource] | type[TreeSource]] = {"tags": TaggedSource, "trees": TreeSource}


def make_task(config: TaskConfig) -> Task:
    """Load the task that `config` describes.

    Raises:
        UserError: an unknown task, or whatever is wrong with its data.
    """
    return load_task(
        task_name(config),
        config.data_dir,
        files=own_data(config),
        reward_fraction=config.reward_fraction,
        seed=config.data_seed,
        train_limit=config.train_limit,
    )


def task_name(config: TaskConfig) -> str:
    """Return the task's name: as given, or that of the own data's file, or that of the synthetic task."""
    if config.task is None and config.own:
        return Path(config.train_file or config.dataset or str(config.test_file)).stem
    return config.task or next(iter(SYNTHETIC_TASKS))


def own_data(config: TaskConfig) -> OwnFiles | WordSource | None:
    """Return the data of one's own that `config` describes, if it does."""
    return word_source(config) if config.task_type in SOURCES else own_files(config)


def own_files(config: TaskConfig) -> OwnFiles | None:
    """Return the texts of one's own that `config` describes, if it does."""
    return OwnFiles(**_given(OwnFiles, config)) if config.own else None


def word_source(config: TaskConfig) -> WordSource:
    """Return the sentences that `config` describes, whose words are labelled."""
    kind = SOURCES[config.task_type]
    return kind(**_given(kind, config))


def located(config: TaskConfig) -> TaskConfig:
    """Return the settings with the paths of data of one's own as `kselect.tasks.location.located` finds them."""
    paths = {name: getattr(config, name) for name in ("train_file", "dev_file", "test_file", "dataset")}
    found: dict[str, Any] = {name: location.located(path, config.data_dir) for name, path in paths.items() if path}
    return replace(config, **found)


def _given(kind: Any, config: TaskConfig) -> dict[str, Any]:
    """Return the fields of a dataclass that the settings name."""
    given = {field.name: getattr(config, field.name) for field in fields(kind)}
    return {name: value for name, value in given.items() if value is not None}


def make_encoder(config: EncoderConfig, task: Task, max_length: int | None, seed: int) -> Classifier:
    """Load a pretrained encoder under a fresh head or, without one, make a small one from scratch.

    Raises:
        UserError: nothing to start from: a task without a vocabulary of its own needs an encoder; a head for other
            tasks.
    """
    if config.encoder is not None:
        return load_encoder(config.encoder, task, seed, config.head)
    if task.name not in SYNTHETIC_TASKS:
        raise UserError(f"{task.name} needs a pretrained encoder: give its folder or hub id as --encoder.")
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

    parser: reads the same texts, where one was asked for.
    """

    task: Task
    teachers: list[Classifier]
    student: Classifier
    parser: Classifier | None

    def distiller(self, training: TrainingConfig, knowledge: KnowledgeConfig, max_length: int | None) -> Distiller:
        """Set up the run of these models."""
        return Distiller(self.task, self.teachers, self.student, training, knowledge, max_length, self.parser)


def make_models(task: TaskConfig, student: StudentConfig, seed: int = 0) -> Models:
    """Load task and teachers, and shrink a student from the first teacher or load one.

    The head of a student that comes without one, or with another than asked for, is drawn with `seed`.

    Raises:
        UserError: whatever is wrong with any of them.
    """
    check_head_of(task.task_type, student.head)
    if student.parser is not None and task.task_type != "text":
        raise UserError(f"parser is for whole texts, and task_type is {task.task_type}: leave it out.")
    loaded = make_task(task)
    teachers = [load_classifier(path, loaded) for path in student.teachers]
    if student.student is not None:
        learner = load_student(student.student, loaded, seed, student.head)
    else:
        assert student.kept_layers is not None
        learner = shrink(teachers[0], student.kept_layers)
        if student.head not in (None, learner.head.name):
            learner = with_head(learner, loaded, student.head, seed)
    return Models(loaded, teachers, learner, None if student.parser is None else load_parser(student.parser))


def make_distiller(
    task: TaskConfig, student: StudentConfig, training: TrainingConfig, knowledge: KnowledgeConfig, seed: int = 0
) -> Distiller:
    """Make the models, see `make_models`, and set up the run.

    Raises:
        UserError: whatever is wrong with any of them.
    """
    return make_models(task, student, seed).distiller(training, knowledge, task.max_length)
