"""What is refused at once, before the libraries that take seconds to load."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from kselect.analysis.plotting import check_drawable
from kselect.cli.saved import find_model, find_policy
from kselect.config import (
    KNOWLEDGE_NAMES,
    EncoderConfig,
    EvaluationConfig,
    FolderConfig,
    KnowledgeConfig,
    PredictionConfig,
    RecordingConfig,
    StudentConfig,
    StudyConfig,
    TaskConfig,
)
from kselect.errors import KselectError, unknown
from kselect.models.paths import check_location
from kselect.plugins import plugin_names
from kselect.runs.resume import ensure_available
from kselect.tasks.paths import find
from kselect.tasks.registry import canonical, task_name
from kselect.tasks.synthetic.tasks import check_generated


def check_early(settings: Any) -> None:
    """Refuse what a command's settings name and is not there: tasks, knowledge, models, test files, what plots need.

    Refused as well are a name that another run has taken, and an encoder from scratch for a task that has none.

    Raises:
        KselectError: as what is built of these settings would raise it later.
    """
    parts = vars(settings).values()
    for part in parts:
        if isinstance(part, TaskConfig) and part.task is not None and not part.own:
            _check_task(part.task)
        if isinstance(part, KnowledgeConfig):
            for name in (*(part.knowledge or ()), *part.scales, *part.layer_maps):
                if name not in (known := _known_knowledge()):
                    raise unknown("knowledge", name, known)
        if isinstance(part, PredictionConfig):
            _check_test(parts)  # of texts as well as of words, which are read only after a model's labels
        if isinstance(part, RecordingConfig) and part.record_plots:
            check_drawable()
        if isinstance(part, FolderConfig | StudyConfig) and part.run_name is not None and not part.fresh:
            ensure_available(Path(part.runs_dir, part.run_name))
        for path in _models(part):
            check_location(path)
    if any(isinstance(part, EncoderConfig) and part.encoder is None for part in parts):
        for task in (part for part in parts if isinstance(part, TaskConfig)):
            check_generated(task_name(task) if task.own else canonical(task_name(task)))


def _check_task(name: str) -> None:
    """Refuse a task that is not known by its name, which may be that of settings or of data."""
    config = Path("configs", f"{name}.yaml")
    try:
        canonical(name)
    except KselectError as error:
        instead = f"--config {config}, which lies here, or --train_file" if config.is_file() else "--train_file"
        raise KselectError(
            f"{error} Data of your own have any name: give {instead}, and of words --task_type tags or trees."
        ) from None


def _check_test(parts: Iterable[Any]) -> None:
    for part in parts:
        if isinstance(part, TaskConfig) and part.test_file is not None:
            find(part.test_file, part.data_dir)


def _known_knowledge() -> Collection[str]:
    """Return what comes with the package and, where a script has registered kinds of its own, those too."""
    registry = sys.modules.get("kselect.knowledge.registry")  # who has not loaded it has registered nothing
    return (*KNOWLEDGE_NAMES, *plugin_names("kselect.knowledge")) if registry is None else registry.BUILDERS


def _models(part: Any) -> list[str]:
    if isinstance(part, StudentConfig):
        return [path for path in (*part.teachers, part.student, part.parser) if path is not None]
    if isinstance(part, EncoderConfig):
        return [] if part.encoder is None else [part.encoder]
    if isinstance(part, EvaluationConfig):
        return [find_model(part.model)] if find_policy(part.model) is None else []
    return []
