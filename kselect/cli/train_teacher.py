"""Fine-tune an encoder into a teacher.

Takes a pretrained encoder from a folder, or trains a small one from scratch, and leaves a classifier that
plain transformers loads.

Examples:
  kselect train-teacher --task mrpc --data_dir glue --encoder bert-base-uncased
  kselect train-teacher --task synthetic-entailment --encoder_layers 6 --epochs 8
"""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config import EncoderConfig, RunConfig, TaskConfig, TrainingConfig

NAME = "train-teacher"


@dataclass
class Settings:
    """What `kselect train-teacher` takes."""

    task: TaskConfig
    model: EncoderConfig
    training: TrainingConfig
    run: RunConfig


def run(settings: Settings) -> None:
    """Fine-tune the encoder and save it in a run folder."""
