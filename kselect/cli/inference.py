"""A saved model, loaded to read texts or words."""

from __future__ import annotations

from kselect.config import EvaluationConfig
from kselect.inference.predictor import Predictor, load_predictor
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
