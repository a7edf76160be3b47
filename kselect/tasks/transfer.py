"""Transfer texts: further texts without labels, on which a student learns from its teacher's outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kselect.errors import KselectError
from kselect.logging import get_logger
from kselect.tasks.splits import Examples, subsample
from kselect.tasks.task import Task

TRANSFER = "transfer"
"""Name of the split, and of its row in a selection."""


def with_transfer(task: Task[Any], texts: Examples, limit: int | None = None, seed: int = 0) -> Task[Any]:
    """Return the task with the split "transfer"; texts that the other held-out splits contain are left out of it.

    Args:
        task: the task.
        texts: texts of the kind that the task reads, without labels.
        limit: use at most so many of them.
        seed: of the sample, where there are more.

    Raises:
        KselectError: no text is left.
    """
    splits = [split for name, split in task.splits.items() if name != "train"]
    held_out = set().union(*(split.keys() for split in splits))
    rest = [index for index, text in enumerate(texts.keys()) if text not in held_out]
    if not rest:
        raise KselectError(
            "Every text of transfer_file is in the splits that are held out: give others.", setting="transfer_file"
        )
    if len(rest) < len(texts):
        get_logger().info(
            "%d of %d transfer texts are in a split that is held out, and are left out.",
            len(texts) - len(rest),
            len(texts),
        )
    kept = texts.take(rest)
    return replace(task, splits={**task.splits, TRANSFER: subsample(kept, limit or len(kept), seed)})
