"""A task from labelled examples: slices, the reward split, and checks that all of it fits together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from kselect.errors import UserError
from kselect.tasks.examples import Examples
from kselect.tasks.holdout import hold_out, limit
from kselect.tasks.metrics import check_metrics
from kselect.tasks.split import Split
from kselect.tasks.text_task import TextTask

DEV_FRACTION = 0.1
"""Share of train that becomes dev where there is none."""

S = TypeVar("S", bound=Examples)


def build_task(
    name: str,
    labels: Sequence[str],
    splits: Mapping[str, Split],
    metrics: Sequence[str],
    *,
    reward_fraction: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
) -> TextTask:
    """Make a task of any data.

    Arguments:
        name: what it is called in results.
        labels: label names in id order; empty where labels are scores.
        splits: "train" and, unless a tenth of train is to be held out for it, "dev"; others whose names begin with
            "dev_" are reported beside it.
        metrics: names of `kselect.tasks.metrics`.
        reward_fraction: share of train that becomes the reward split; stratified, and removed from train.
        seed: of the splits that are drawn here.
        train_limit: use only so many examples of train (before anything is held out) and of dev, stratified.

    Raises `UserError` for metrics that do not suit the labels, for too few examples, and for scores that are all equal.
    """
    check_metrics(metrics, len(labels))
    parts = parted(splits, reward_fraction=reward_fraction, seed=seed, train_limit=train_limit)
    scores = parts["train"].labels
    if not labels and len(set(scores)) == 1:
        raise UserError(f"Every score of train is {scores[0]}: give examples whose scores differ.")
    return TextTask(name, tuple(labels), parts, tuple(metrics))


def parted(
    splits: Mapping[str, S], *, reward_fraction: float = 0.1, seed: int = 0, train_limit: int | None = None
) -> dict[str, S]:
    """Cut slices where asked, and hold the reward split out of train, and before it dev where there is none.

    Arguments are those of `build_task`. Raises `UserError` for too few examples.
    """
    parts = dict(splits)
    if train_limit is not None:
        if train_limit < 1:
            raise UserError(f"train_limit is {train_limit}: give a positive number of examples.")
        parts = {part: limit(split, train_limit, seed) for part, split in parts.items()}
    train = parts.pop("train")
    if "dev" not in parts:
        train, parts["dev"] = hold_out(train, DEV_FRACTION, seed, "dev")
    train, reward = hold_out(train, reward_fraction, seed)
    return {"train": train, "reward": reward, **parts}
