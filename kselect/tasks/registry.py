"""Tasks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from kselect.config import TaskConfig
from kselect.errors import KselectError, unknown
from kselect.tasks.glue import GLUE_FORMATS, glue_source
from kselect.tasks.paths import resolve_path
from kselect.tasks.source import Unlabelled
from kselect.tasks.splits import Examples, subsample
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.task import Task, build_task
from kselect.tasks.text_files import TextFiles
from kselect.tasks.transfer import with_transfer
from kselect.tasks.words import TaggedSource, TreeSource
from kselect.tasks.words.parsing_files import WordSource

TASKS: tuple[str, ...] = (*SYNTHETIC_TASKS, *GLUE_FORMATS)
"""Names that `load_task` knows."""
FILES = ("train_file", "unlabelled_file", "transfer_file", "dev_file", "test_file", "dataset")
"""Settings that name a custom dataset."""
WORD_SOURCES: dict[str, type[TaggedSource] | type[TreeSource]] = {"tags": TaggedSource, "trees": TreeSource}


def load_task(
    name: str,
    data_dir: str | Path | None = None,
    *,
    files: TextFiles | WordSource | None = None,
    reward_fraction: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
) -> Task[Any]:
    """Load a task by its name, in any case and with or without hyphens ("SST-2" is sst2).

    Args:
        name: one of `TASKS` or, with `files`, any other.
        data_dir: for GLUE's tasks a folder in one of its layouts, see `glue_source`; by default the environment
            variable KSELECT_DATA or, without it, the hub. For `files`, where those are that are not in the current
            folder; by default their own `data_dir`.
        files: a custom dataset: texts or, in a `TaggedSource` or a `TreeSource`, sentences word by word.
        reward_fraction: share of train that becomes the reward split; stratified, and removed from train.
        seed: of the splits that are held out, of `train_limit`'s slice, and of the synthetic data.
        train_limit: use only so many examples of train (after the reward split is held out) and of dev, stratified.

    Raises:
        KselectError: an unknown name, missing data, or a fault in the files.
    """
    if files is not None and data_dir is not None:
        files = replace(files, data_dir=data_dir)
    if isinstance(files, WordSource):
        return files.task(custom_name(name), reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
    if files is not None:
        name = custom_name(name)
        labels, metrics, splits = files.labelled()
    elif (name := canonical(name)) in SYNTHETIC_TASKS:
        synthetic = SYNTHETIC_TASKS[name]
        labels, metrics = synthetic.labels, synthetic.metrics
        splits = dict(zip(("train", "dev"), synthetic.generate(seed), strict=True))
    else:
        glue, source = GLUE_FORMATS[name], glue_source(name, data_dir)
        labels, metrics = glue.labels, glue.metrics
        splits = {split: source.split(part) for split, part in {"train": "train", **glue.dev}.items()}
    task = build_task(
        name,
        labels,
        splits,
        metrics,
        reward_fraction=reward_fraction,
        seed=seed,
        train_limit=train_limit,
        multi_label=files is not None and files.multi_label,
    )
    if files is None:
        return task
    texts, answered = files.unlabelled_train(labels), files.without_labels(labels)
    if answered is not None:
        return with_transfer(task, answered, train_limit, seed)
    if texts is None:
        return task
    return replace(task, splits={**task.splits, "train": subsample(texts, train_limit or len(texts), seed)})


def load_test(
    name: str, data_dir: str | Path | None = None, *, files: TextFiles | None = None
) -> dict[str, Unlabelled]:
    """Load the examples to predict, by the name of their predictions (that of GLUE's submission, such as "MNLI-m")."""
    if files is not None:
        if data_dir is not None:
            files = replace(files, data_dir=data_dir)
        return {custom_name(name): files.unlabelled()}
    name = canonical(name)
    if name in SYNTHETIC_TASKS:
        raise KselectError(
            f"{name} has no test split: give one of {', '.join(GLUE_FORMATS)}, or a test_file.", setting="test_file"
        )
    source = glue_source(name, data_dir)
    return {submission: source.unlabelled(part) for part, submission in GLUE_FORMATS[name].submissions.items()}


def canonical(name: str) -> str:
    """Return the name that a known task has in `TASKS`."""
    by_letters = {_letters(known): known for known in TASKS}
    if _letters(name) not in by_letters:
        raise unknown("task", name, TASKS)
    return by_letters[_letters(name)]


def custom_name(name: str) -> str:
    """Return the name of a custom dataset."""
    if _letters(name) in map(_letters, TASKS):
        raise KselectError(
            f"{name} is the name of a known task with its own data: give yours another name.", setting="task"
        )
    return name


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def make_task(config: TaskConfig) -> Task:
    """Load the task that `config` describes."""
    task = load_task(
        task_name(config),
        config.data_dir,
        files=custom_data(config),
        reward_fraction=config.reward_fraction,
        seed=config.data_seed,
        train_limit=config.train_limit,
    )
    if config.transfer_file is None:
        return task
    return with_transfer(task, _transfer_texts(config, task), config.transfer_limit, config.data_seed)


def _transfer_texts(config: TaskConfig, task: Task[Any]) -> Examples:
    """Read `transfer_file`, in the format of the task's own files."""
    if config.task_type != "text":
        source = replace(word_source(config), data_dir=config.data_dir)
        assert isinstance(source, TaggedSource)
        return source.untagged(str(config.transfer_file))
    columns = config.transfer_columns or config.text_columns
    if columns is None and task.name in GLUE_FORMATS:
        columns = list(GLUE_FORMATS[task.name].tsv.texts)
    if columns is None:
        raise KselectError(
            "transfer_columns is missing: name the column of the text in transfer_file, or two.",
            setting="transfer_columns",
        )
    files = TextFiles(
        columns,
        unlabelled_file=config.transfer_file,
        regression=task.regression,
        data_dir=config.data_dir,
        teacher_columns=config.teacher_columns,
        teacher_values=config.teacher_values,
        multi_label=config.multi_label,
    )
    texts = files.unlabelled_train(task.labels, "transfer_columns")
    assert texts is not None
    is_pair = task.splits["train"].text_b is not None
    if is_pair != (texts.text_b is not None):
        raise KselectError(
            f"{task.name} reads {'pairs of texts' if is_pair else 'single texts'}: name "
            f"{'two columns' if is_pair else 'one column'} of transfer_file as transfer_columns.",
            setting="transfer_columns",
        )
    return texts


def task_name(config: TaskConfig) -> str:
    """Return the task's name: as given, or that of the custom dataset's file.

    Raises:
        KselectError: neither is given.
    """
    if config.task is not None:
        return config.task
    if config.test_file == "-":
        return "stdin"
    if config.own:
        return Path(config.train_file or config.dataset or str(config.test_file)).stem
    raise KselectError(
        f"task is missing: name one, such as mrpc or, to try kselect out, {next(iter(SYNTHETIC_TASKS))}, whose data "
        "are generated, or give your own data as train_file.",
        setting="task",
    )


def custom_data(config: TaskConfig) -> TextFiles | WordSource | None:
    """Return the custom dataset that `config` describes, if any."""
    return word_source(config) if config.task_type in WORD_SOURCES else text_files(config)


def text_files(config: TaskConfig) -> TextFiles | None:
    """Return the custom dataset of whole texts that `config` describes, if any."""
    return TextFiles(**_fields_of(TextFiles, config)) if config.own else None


def word_source(config: TaskConfig) -> WordSource:
    """Return the custom dataset of labelled words that `config` describes."""
    kind = WORD_SOURCES[config.task_type]
    return kind(**_fields_of(kind, config))


def resolve_paths(config: TaskConfig) -> TaskConfig:
    """Return the settings with the paths of a custom dataset as `kselect.tasks.paths.resolve_path` finds them."""
    paths = {name: getattr(config, name) for name in FILES}
    resolved: dict[str, Any] = {name: resolve_path(path, config.data_dir) for name, path in paths.items() if path}
    return replace(config, **resolved)


def _fields_of(kind: Any, config: TaskConfig) -> Mapping[str, Any]:
    """Return the fields of a dataclass that the settings give."""
    given = {field.name: getattr(config, field.name) for field in fields(kind)}
    return {name: value for name, value in given.items() if value is not None}
