"""What may answer a task, by the kind of task."""

from __future__ import annotations

from typing import Literal

from kselect.config.checks import require

HEADS: dict[str, tuple[str, ...]] = {
    "text": (),
    "tags": ("tagger", "crf", "spans"),
    "trees": ("parser", "second-order-parser", "tree-tagger"),
}
"""Heads that can be chosen for each task_type, the usual one first."""
HeadName = Literal["tagger", "crf", "spans", "parser", "second-order-parser", "tree-tagger"]


def check_head_of(task_type: str, head: str | None) -> None:
    """Raise a KselectError where a head is named that does not answer tasks of this type."""
    known = HEADS[task_type]
    remedy = f"give {', '.join(known[:-1])} or {known[-1]}" if known else "leave it out"
    require(head is None or head in known, f"head is {head}, which is not for task_type {task_type}: {remedy}.")
