"""Tasks by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kselect.errors import UserError, unknown
from kselect.tasks.building import build_task
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.glue_source import glue_source
from kselect.tasks.own_files import OwnFiles
from kselect.tasks.source import Unlabelled
from kselect.tasks.synthetic import SYNTHETIC_TASKS
from kselect.tasks.task import Task
from kselect.tasks.words.source import WordSource

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
        train_limit: use only so many examples of train (before anything is held out) and of dev, stratified.

    Raises `UserError` for an unknown name, for missing data and for faults in the files.
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

    Arguments are those of `load_task`. Raises `UserError` as it does, and for a task that has no test examples.
    """
    if files is not None:
        if data_dir is not None:
            files = replace(files, data_dir=data_dir)
        return {own_name(name): files.unlabelled()}
    name = canonical(name)
    if name in SYNTHETIC_TASKS:
        raise UserError(f"{name} has no test split: give one of {', '.join(GLUE_FORMATS)}, or a test_file.")
    source = glue_source(name, data_dir)
    return {submission: source.unlabelled(part) for part, submission in GLUE_FORMATS[name].submissions.items()}


def canonical(name: str) -> str:
    """Return the name that a known task has in `TASKS`; raises `UserError` for an unknown one."""
    by_letters = {_letters(known): known for known in TASKS}
    if _letters(name) not in by_letters:
        raise unknown("task", name, TASKS)
    return by_letters[_letters(name)]


def own_name(name: str) -> str:
    """Return a name for data of one's own; raises `UserError` where a known task has it."""
    if _letters(name) in map(_letters, TASKS):
        raise UserError(f"{name} is the name of a task with data of its own: give yours another as --task.")
    return name


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
