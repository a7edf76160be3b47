"""Score a saved model on a task, beside the constant prediction.

Examples:
  kselect evaluate runs/student/student --task mrpc
  kselect evaluate runs/teacher/model --task rte --data_dir glue --precision fp32
"""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config import EvaluationConfig, TaskConfig

NAME = "evaluate"
POSITIONAL = "model"


@dataclass
class Settings:
    """What `kselect evaluate` takes."""

    model: EvaluationConfig
    task: TaskConfig


def run(settings: Settings) -> None:
    """Print the model's scores on the dev split."""
