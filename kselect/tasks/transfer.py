"""Transfer texts: further texts without labels, on which a student learns from its teacher's outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.tasks.splits import Examples, is_held_out, subsample
from kselect.tasks.task import Task

AnyExamples = TypeVar("AnyExamples", bound=Examples)

TRANSFER = "transfer"
"""Name of the split, and of its row in a selection."""


def with_transfer(task: Task[Any], texts: Examples, limit: int | None = None, seed: int = 0) -> Task[Any]:
    """Return the task with the split "transfer"; texts that the other held-out splits contain are left out of it.

    Texts that it has already remain, before the others.

    Args:
        task: the task.
        texts: texts of the kind that the task reads, without labels.
        limit: use at most so many of them.
        seed: of the sample, where there are more.

    Raises:
        KselectError: no text is left.
    """
    kept = without_held_out(task, texts, TRANSFER)
    if not len(kept):
        raise KselectError(
            "Every text of transfer_file is in the splits that are held out: give others.", setting="transfer_file"
        )
    sampled, present = subsample(kept, limit or len(kept), seed), task.splits.get(TRANSFER)
    return replace(task, splits={**task.splits, TRANSFER: present.joined([sampled]) if present else sampled})


def without_held_out(task: Task[Any], texts: AnyExamples, name: str) -> AnyExamples:
    """Return those of the texts, called `name`, that no split of the task but those to learn from contains."""
    splits = [split for split_name, split in task.splits.items() if is_held_out(split_name)]
    held_out = set().union(*(split.keys() for split in splits))
    rest = [index for index, text in enumerate(texts.keys()) if text not in held_out]
    if len(rest) < len(texts):
        get_logger().info(
            "%d of %d %s texts are in a split that is held out, and are left out.",
            len(texts) - len(rest),
            len(texts),
            name,
        )
    return texts.take(rest)
