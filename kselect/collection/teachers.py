"""The models of a condition: its teacher, fine-tuned on the drawn examples, and the student it starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from transformers import AutoConfig, AutoModel, AutoTokenizer

from kselect import io
from kselect.collection.conditions import Condition
from kselect.config import StudentConfig, TaskConfig, TrainingConfig
from kselect.distillation.distiller import Distiller
from kselect.distillation.evaluation import evaluate
from kselect.errors import KselectError
from kselect.models.classifier import Classifier
from kselect.models.loading import load_classifier, load_encoder, saved_texts
from kselect.models.output_layer import output_layer
from kselect.models.scratch import seeded
from kselect.models.shrink import shrink
from kselect.tasks.fingerprint import texts_to_learn
from kselect.tasks.registry import make_task
from kselect.tasks.task import Task
from kselect.training.api import evaluated_teachers

BATCH_SIZE = 32
ENCODER = "encoder.json"
SAME = 0.9  # share of texts that makes them the same; another version may hold out others of them


def check_encoder(pool: Path, encoder: str) -> None:
    """Refuse another encoder than that which a pool's teachers are fine-tuned from."""
    path = pool / ENCODER
    if not path.is_file():
        io.write_json(path, encoder)
    elif (own := io.read_json(path)) != encoder:
        raise KselectError(
            f"The teachers in {pool} are fine-tuned from {own}: give that one, or another pool.", setting="encoder"
        )


def train_teacher(condition: Condition, data: TaskConfig, encoder: str, seed: int, folder: Path) -> Path:
    """Fine-tune the encoder as the condition says, and return the teacher's folder below `folder`.

    Conditions whose teachers are trained alike share one. It is trained again where the texts are others than before,
    as in a suite whose tasks have changed.
    """
    spec = condition.teacher
    path = folder / f"{condition.task}-{seed}-{_name(condition)}"
    with FileLock(folder / f".{path.name}.lock"):
        task = make_task(data)
        if (path / "config.json").is_file() and _has_learned_from(path, task):
            return path
        if spec.logit_factor != 1:
            alike = replace(condition, teacher=replace(spec, logit_factor=1.0))
            teacher = load_classifier(train_teacher(alike, data, encoder, seed, folder), task)
            _scale_logits(teacher, spec.logit_factor)
        else:
            teacher = load_encoder(encoder, task, seed, spec.head)
            training = TrainingConfig(epochs=spec.epochs, learning_rate=spec.learning_rate, batch_size=BATCH_SIZE)
            distiller = Distiller(task, None, teacher, training, max_length=data.max_length)
            distiller.reset(seed)
            distiller.advance(np.ones(1), distiller.total_steps)
        teacher.save_pretrained(path)
    return path


def _has_learned_from(path: Path, task: Task[Any]) -> bool:
    """Return whether a saved teacher was trained on the texts of train; one whose texts are not known counts, too."""
    known = saved_texts(path)
    return known is None or float(np.isin(texts_to_learn(task.splits), known).mean()) >= SAME


def _name(condition: Condition) -> str:
    spec = condition.teacher
    examples = str(spec.examples)
    if spec.same_examples:
        examples = f"{condition.labelled}-of-{condition.labelled + condition.held_out}-noise{condition.label_noise:g}-"
    parts = [f"{examples}x{spec.epochs:g}", f"{spec.learning_rate:g}", spec.head, f"factor{spec.logit_factor:g}"]
    return "-".join(part for part in parts if part is not None)


@torch.no_grad()
def _scale_logits(classifier: Classifier, factor: float) -> None:
    """Multiply the logits of a classifier of texts by a factor."""
    if classifier.labels is not None or classifier.num_labels == 1:
        raise KselectError("logit_factor is for classifiers of whole texts: leave it out.")
    for parameter in output_layer(classifier.model).parameters():
        parameter.mul_(factor)


def student_config(
    condition: Condition, data: TaskConfig, teacher: Path, encoder: str, seed: int, folder: Path
) -> StudentConfig:
    """Return the settings of the condition's student, after saving it where it is not cut from its teacher.

    What is held out of the student is held out of its teacher, but a task may have copies of a text, 1 % of STS-B's.
    """
    spec = condition.student
    if spec.initial == "teacher":
        return StudentConfig(str(teacher), layers=spec.layers, head=spec.head, allow_overlap=True)
    if not (folder / "config.json").is_file():
        task = make_task(data)
        source = encoder if spec.initial == "encoder" else str(_narrow(encoder, spec.layers, seed, folder / "encoder"))
        student = load_encoder(source, task, seed, spec.head)
        if spec.initial == "encoder":
            student = shrink(student, spec.layers)
        student.save_pretrained(folder)
    return StudentConfig(str(teacher), student=str(folder), head=spec.head, allow_overlap=True)


def _narrow(encoder: str, layers: int | list[int], seed: int, folder: Path) -> Path:
    """Save a randomly initialised encoder of half the width, with the tokenizer of `encoder`."""
    config = AutoConfig.from_pretrained(encoder, trust_remote_code=False)
    config.num_hidden_layers = layers if isinstance(layers, int) else len(layers)
    for name in ("hidden_size", "intermediate_size"):
        setattr(config, name, getattr(config, name) // 2)
    with seeded(seed):
        model = AutoModel.from_config(config)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder, trust_remote_code=False).save_pretrained(folder)
    return folder


def teacher_scores(distiller: Distiller, path: Path) -> dict[str, Any]:
    """Return the teacher's metrics on dev and on the reward split; computed once, and kept in a file."""
    if path.is_file():
        kept: dict[str, Any] = io.read_json(path)
        return kept
    task, training = distiller.task, distiller.training
    encoded = distiller.encoded("reward", teacher=0)
    reward = evaluate(
        distiller.teachers[0], task, encoded, np.arange(len(encoded)), training.batch_size, distiller.dtype
    )
    scores = {"dev": evaluated_teachers(distiller)[0], "reward": {**reward.metrics, "loss": reward.loss}}
    io.write_json(path, scores)
    return scores
