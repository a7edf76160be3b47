"""A task from settings. No library that takes seconds to load is needed, so that faults in data are told at once."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from kselect.config import TaskConfig
from kselect.tasks import location
from kselect.tasks.own_files import OwnFiles
from kselect.tasks.registry import load_task
from kselect.tasks.synthetic import SYNTHETIC_TASKS
from kselect.tasks.task import Task
from kselect.tasks.words import TaggedSource, TreeSource
from kselect.tasks.words.source import WordSource

FILES = ("train_file", "unlabelled_file", "dev_file", "test_file", "dataset")
"""Settings that name data of one's own."""
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
    paths = {name: getattr(config, name) for name in FILES}
    found: dict[str, Any] = {name: location.located(path, config.data_dir) for name, path in paths.items() if path}
    return replace(config, **found)


def _given(kind: Any, config: TaskConfig) -> dict[str, Any]:
    """Return the fields of a dataclass that the settings name."""
    given = {field.name: getattr(config, field.name) for field in fields(kind)}
    return {name: value for name, value in given.items() if value is not None}
