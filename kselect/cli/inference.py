"""A saved model, loaded to read texts or words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig

from kselect.runs.artifacts import find_model
from kselect.cli.training_run import warn_long
from kselect.config import EvaluationConfig
from kselect.distillation.device import find_device, resolve_precision
from kselect.errors import KselectError
from kselect.models.classifier import Classifier, input_length
from kselect.models.heads.saved import saved_facts
from kselect.models.loading import load_classifier
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.splits import Examples
from kselect.tasks.task import Task


@dataclass(frozen=True)
class InferenceModel:
    """A classifier on its device, with the arithmetic and the number of tokens that it reads with."""

    classifier: Classifier
    task: Task
    dtype: torch.dtype
    max_length: int

    def encode(self, splits: Mapping[str, Examples]) -> dict[str, EncodedSplit]:
        """Encode splits by name, and print how many examples are longer than the model takes."""
        encoded = {
            name: self.task.encode(split, self.classifier.tokenizer, self.max_length) for name, split in splits.items()
        }
        every = encoded.values()
        warn_long(sum(one.truncated for one in every), sum(one.in_pieces for one in every), self.max_length)
        return encoded


def load_inference_model(config: EvaluationConfig, task: Task, max_length: int | None) -> InferenceModel:
    """Load the model that `config` names, or that lies in the run folder it names."""
    classifier = load_classifier(find_model(config.model), task)
    device = find_device()
    classifier.to(device)
    length = input_length(classifier, max_length, task.usual_length)
    return InferenceModel(classifier, task, resolve_precision(config.precision, device), length)


def label_names(path: str) -> tuple[str, ...]:
    """Return the label names of a model in a local folder, in id order; none where it gives scores."""
    if not (Path(path) / "config.json").is_file():
        raise KselectError(
            f"{path} is not a folder with a model: give one, or with a hub id labels, in the order of their ids there.",
            setting="model",
        )
    config = AutoConfig.from_pretrained(path)
    return tuple(config.id2label[i] for i in sorted(config.id2label)) if config.num_labels > 1 else ()


def word_labels(path: str) -> tuple[str, ...]:
    """Return the labels that a model of words in a local folder answers with."""
    if not (Path(path) / "config.json").is_file():
        raise KselectError(f"{path} is not a folder with a model of words: give one.", setting="model")
    return tuple(saved_facts(path).get("labels", ())) or label_names(path)
