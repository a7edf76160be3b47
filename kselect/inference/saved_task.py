"""The task of a saved model, without examples: what it reads, and what it answers by the labels saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kselect.models.heads.registry import PARSING
from kselect.models.heads.saved import saved_facts
from kselect.models.label_names import label_names
from kselect.models.pretrained import load_config
from kselect.tasks.glue import GLUE_FORMATS
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.task import Task, TextTask
from kselect.tasks.words import TaggedSource, TreeSource


def reads_pairs(settings: Mapping[str, Any]) -> bool | None:
    """Return whether the settings of a run are of pairs of texts; None where they do not say."""
    columns, task = settings.get("text_columns"), settings.get("task")
    if columns is not None:
        return len(columns) == 2
    if task in SYNTHETIC_TASKS:
        return SYNTHETIC_TASKS[task].pairs
    return len(GLUE_FORMATS[task].tsv.texts) == 2 if task in GLUE_FORMATS else None


def saved_task(path: str | Path, settings: Mapping[str, Any] | None = None) -> Task:
    """Return the task of a model.

    Args:
        path: a folder or a hub id.
        settings: of the run that it is from, which name the task and the scheme of its tags.

    Raises:
        KselectError: no model there.
    """
    config, facts, known = load_config(path), saved_facts(path), dict(settings or {})
    labels = tuple(facts.get("labels") or label_names(config))
    name = str(known.get("task") or Path(path).name)
    if facts.get("head") in PARSING:
        return TreeSource().task_of(name, labels)
    if facts or any("TokenClassification" in architecture for architecture in config.architectures or []):
        source = TaggedSource(scheme=known.get("scheme"), file_scheme=known.get("file_scheme"))
        return source.task_of(name, labels)
    multi_label = config.problem_type == "multi_label_classification"
    return TextTask(name, () if config.num_labels == 1 and not multi_label else labels, {}, (), multi_label)
