"""Tasks by name."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from kselect.config import TaskConfig
from kselect.errors import KselectError, unknown
from kselect.tasks.glue import GLUE_FORMATS, glue_source
from kselect.tasks.paths import resolve_path
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.task import Task, build_task
from kselect.tasks.text_files import OwnFiles, Unlabelled
from kselect.tasks.words import TaggedSource, TreeSource
from kselect.tasks.words.parsing_files import WordSource

TASKS: tuple[str, ...] = (*SYNTHETIC_TASKS, *GLUE_FORMATS)
"""Names that `load_task` knows."""


def load_task(
    name: str,
    data_dir: str | Path | None = None,
    *,
    files: OwnFiles | WordSource | None = None,
    reward_fraction: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
) -> Task[Any]:
    """Load a task by its name, in any case and with or without hyphens ("SST-2" is sst2).

    Arguments:
        name: one of `TASKS` or, with `files`, any other.
        data_dir: of GLUE's tasks: a folder in GLUE's TSV layout or one that `datasets` saved, see `glue_source`; by
            default the environment variable KSELECT_DATA or, without it, the hub. Of `files`: where those are that are
            not in the present folder; by default their own `data_dir`.
        files: data of one's own: texts or, a `TaggedSource` or a `TreeSource`, sentences word by word.
        reward_fraction: share of train that becomes the reward split; stratified, and removed from train.
        seed: of the splits that are held out, of `train_limit`'s slice, and of the synthetic data.
        train_limit: use only so many examples of train (after the reward split is held out) and of dev, stratified.

    Raises `KselectError` for an unknown name, for missing data and for faults in the files.
    """
    if files is not None and data_dir is not None:
        files = replace(files, data_dir=data_dir)
    if isinstance(files, WordSource):
        return files.task(own_name(name), reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
    if files is not None:
        name = own_name(name)
        labels, metrics, splits = files.labelled()
    elif (name := canonical(name)) in SYNTHETIC_TASKS:
        synthetic = SYNTHETIC_TASKS[name]
        labels, metrics = synthetic.labels, synthetic.metrics
        splits = dict(zip(("train", "dev"), synthetic.generate(seed), strict=True))
    else:
        glue, source = GLUE_FORMATS[name], glue_source(name, data_dir)
        labels, metrics = glue.labels, glue.metrics
        splits = {split: source.split(part) for split, part in {"train": "train", **glue.dev}.items()}
    return build_task(
        name, labels, splits, metrics, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit
    )


def load_test(name: str, data_dir: str | Path | None = None, *, files: OwnFiles | None = None) -> dict[str, Unlabelled]:
    """Load what there is to predict, by the name that its predictions go by (GLUE's submissions, "MNLI-m" say).

    Arguments are those of `load_task`. Raises `KselectError` as it does, and for a task that has no test examples.
    """
    if files is not None:
        if data_dir is not None:
            files = replace(files, data_dir=data_dir)
        return {own_name(name): files.unlabelled()}
    name = canonical(name)
    if name in SYNTHETIC_TASKS:
        raise KselectError(f"{name} has no test split: give one of {', '.join(GLUE_FORMATS)}, or a test_file.")
    source = glue_source(name, data_dir)
    return {submission: source.unlabelled(part) for part, submission in GLUE_FORMATS[name].submissions.items()}


def canonical(name: str) -> str:
    """Return the name that a known task has in `TASKS`; raises `KselectError` for an unknown one."""
    by_letters = {_letters(known): known for known in TASKS}
    if _letters(name) not in by_letters:
        raise unknown("task", name, TASKS)
    return by_letters[_letters(name)]


def own_name(name: str) -> str:
    """Return a name for data of one's own; raises `KselectError` where a known task has it."""
    if _letters(name) in map(_letters, TASKS):
        raise KselectError(f"{name} is the name of a task with data of its own: give yours another as --task.")
    return name


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


FILES = ("train_file", "unlabelled_file", "dev_file", "test_file", "dataset")
"""Settings that name data of one's own."""
SOURCES: dict[str, type[TaggedSource] | type[TreeSource]] = {"tags": TaggedSource, "trees": TreeSource}


def make_task(config: TaskConfig) -> Task:
    """Load the task that `config` describes.

    Raises:
        KselectError: an unknown task, or whatever is wrong with its data.
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


def resolve_paths(config: TaskConfig) -> TaskConfig:
    """Return the settings with the paths of data of one's own as `kselect.tasks.paths.resolve_path` finds them."""
    paths = {name: getattr(config, name) for name in FILES}
    found: dict[str, Any] = {name: resolve_path(path, config.data_dir) for name, path in paths.items() if path}
    return replace(config, **found)


def _given(kind: Any, config: TaskConfig) -> dict[str, Any]:
    """Return the fields of a dataclass that the settings name."""
    given = {field.name: getattr(config, field.name) for field in fields(kind)}
    return {name: value for name, value in given.items() if value is not None}
