"""Tasks by name."""

from __future__ import annotations

from pathlib import Path

from kselect.errors import UserError, unknown
from kselect.tasks.glue import GLUE_FORMATS, glue_folder, read_glue
from kselect.tasks.holdout import hold_out, limit
from kselect.tasks.split import Split
from kselect.tasks.synthetic import SYNTHETIC_TASKS
from kselect.tasks.task import Task

TASKS: tuple[str, ...] = (*SYNTHETIC_TASKS, *GLUE_FORMATS)
"""Names that `load_task` knows."""


def load_task(
    name: str,
    data_dir: str | Path | None = None,
    *,
    reward_fraction: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
) -> Task:
    """Load a task by its name, in any case and with or without hyphens ("SST-2" is sst2).

    Arguments:
        name: one of `TASKS`.
        data_dir: folder in GLUE's TSV layout, or one that holds it as `glue`; by default the environment
            variable KSELECT_DATA. Synthetic tasks are generated and do not read it.
        reward_fraction: share of train that becomes the reward split; stratified, and removed from train.
        seed: of the reward split, of `train_limit`'s slice, and of the synthetic data.
        train_limit: use only so many examples of train (before the reward split is drawn) and of dev,
            stratified.

    Raises `UserError` for an unknown name, for missing data and for faults in the files.
    """
    name = _canonical(name)
    if name in SYNTHETIC_TASKS:
        synthetic = SYNTHETIC_TASKS[name]
        labels, metrics = synthetic.labels, synthetic.metrics
        train, dev = synthetic.generate(seed)
    else:
        glue = GLUE_FORMATS[name]
        labels, metrics = glue.labels, glue.metrics
        folder = glue_folder(glue, data_dir)
        train, dev = (read_glue(glue, folder / f"{part}.tsv") for part in ("train", "dev"))
    if train_limit is not None and train_limit < 1:
        raise UserError(f"train_limit is {train_limit}: give a positive number of examples.")
    if train_limit is not None:
        train, dev = limit(train, train_limit, seed), limit(dev, train_limit, seed)
    train, reward = hold_out(train, reward_fraction, seed)
    splits: dict[str, Split] = {"train": train, "reward": reward, "dev": dev}
    return Task(name=name, labels=labels, splits=splits, metrics=metrics)


def _canonical(name: str) -> str:
    by_letters = {_letters(known): known for known in TASKS}
    if _letters(name) not in by_letters:
        raise unknown("task", name, TASKS)
    return by_letters[_letters(name)]


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
