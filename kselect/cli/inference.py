"""A saved model, loaded to read texts or words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kselect.config import EvaluationConfig
from kselect.errors import KselectError
from kselect.inference.predictor import Predictor, load_predictor
from kselect.models.heads.saved import saved_facts
from kselect.models.pretrained import load_config
from kselect.runs.artifacts import find_model
from kselect.tasks.task import Task


def load_inference_model(config: EvaluationConfig, task: Task, max_length: int | None) -> Predictor:
    """Load the model that `config` names, or that lies in the run folder it names."""
    return load_predictor(
        find_model(config.model),
        task,
        batch_size=config.batch_size,
        max_length=max_length,
        precision=config.precision,
        device=config.device,
    )


def label_names(path: str) -> tuple[str, ...]:
    """Return the label names of a model in a local folder, in id order; none where it gives scores."""
    if not (Path(path) / "config.json").is_file():
        raise KselectError(
            f"{path} is not a folder with a model: give one, or with a hub id labels, in the order of their ids there.",
            setting="model",
        )
    config = load_config(path)
    names: dict[Any, str] = config.id2label or {}
    return tuple(names[i] for i in sorted(names)) if len(names) > 1 else ()


def word_labels(path: str) -> tuple[str, ...]:
    """Return the labels that a model of words in a local folder answers with."""
    if not (Path(path) / "config.json").is_file():
        raise KselectError(f"{path} is not a folder with a model of words: give one.", setting="model")
    return tuple(saved_facts(path).get("labels", ())) or label_names(path)
