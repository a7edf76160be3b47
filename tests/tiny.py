"""Tiny real models and tasks: small enough to train within a test."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from kselect.config import KnowledgeConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.models.classifier import Classifier
from kselect.models.scratch import new_classifier
from kselect.models.shrink import shrink
from kselect.tasks.splits import subsample
from kselect.tasks.synthetic.tasks import SYNTHETIC_TASKS
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.task import Task, build_task


@cache
def tiny_task(name: str = "synthetic-acceptability", train_limit: int = 80) -> Task:
    synthetic = SYNTHETIC_TASKS[name]
    splits = dict(zip(("train", "dev"), synthetic.generate(0), strict=True))
    small = {part: subsample(split, train_limit, 0) for part, split in splits.items()}
    return build_task(name, synthetic.labels, small, synthetic.metrics, reward_fraction=0.2)


def tiny_classifier(
    task: Task, layers: int = 4, seed: int = 0, dropout: float = 0.1, hidden_size: int = 16
) -> Classifier:
    classifier = new_classifier(
        task, synthetic_tokenizer(), layers=layers, hidden_size=hidden_size, heads=2, max_length=32, seed=seed
    )
    for module in classifier.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    with torch.no_grad():
        for parameter in classifier.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)  # as uneven as a trained model: fresh ones of this width are all but uniform
    return classifier


def tiny_distiller(
    knowledge: dict[str, Any] | None = None,
    dropout: float = 0.1,
    task: Task | None = None,
    teacher: Classifier | None = None,
    **training: Any,
) -> Distiller:
    task = task or tiny_task()
    teacher = teacher or tiny_classifier(task, dropout=dropout)
    settings: dict[str, Any] = {"batch_size": 8, "epochs": 2, "learning_rate": 1e-3, "precision": "fp32", **training}
    offered = KnowledgeConfig(**(knowledge or {}))
    return Distiller(task, teacher, shrink(teacher, 2), TrainingConfig(**settings), offered, max_length=32)


def save_encoder(classifier: Classifier, folder: Path) -> None:
    """Save a model without its head, as plain transformers files."""
    encoder = classifier.model.base_model
    assert isinstance(encoder, PreTrainedModel)
    encoder.save_pretrained(folder)
    classifier.tokenizer.save_pretrained(folder)
