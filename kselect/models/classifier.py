"""A sequence classifier and its tokenizer, loaded with its pitfalls checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from kselect.errors import UserError
from kselect.models.architecture import fused_attention, positions
from kselect.models.hub import source_settings

if TYPE_CHECKING:
    from kselect.tasks.task import Task


DEFAULT_LENGTH = 128


@dataclass
class Classifier:
    """A sequence classifier together with the tokenizer that its inputs come from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def layers(self) -> int:
        """Number of transformer layers."""
        return int(self.model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Dimensions of a hidden state."""
        return int(self.model.config.hidden_size)

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        return int(self.model.config.num_attention_heads)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and tokenizer as plain transformers files, readable without this package."""
        self.model.set_attn_implementation(fused_attention(self.model))
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def load_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a fine-tuned classifier (teacher or student) for `task` from a folder or a hub id.

    Raises:
        UserError: no model there; a head that was never trained (the missing weights are named); labels other than
            the task's, or in another order.
    """
    model, missing = _load_model(path)
    if missing:
        raise UserError(
            f"{path} is not fine-tuned: {', '.join(sorted(missing))} would be random. "
            f"Run `kselect train-teacher --encoder {path} --task {task.name}` and use the model it saves."
        )
    _check_labels(model, task, path)
    return Classifier(model, _load_tokenizer(path, model))


def load_encoder(path: str | Path, task: Task, seed: int = 0) -> Classifier:
    """Load a pretrained encoder and put a fresh head for `task` on it, drawn with `seed`.

    A head that the checkpoint brings along, for whatever task, is replaced.

    Raises:
        UserError: no model there, or one whose encoder is not whole.
    """
    with seeded(seed):
        model, missing = _load_model(path, ignore_mismatched_sizes=True, **label_settings(task))
        encoder = [name for name in missing if name.startswith(f"{model.base_model_prefix}.") and "pooler" not in name]
        if encoder:
            raise UserError(
                f"{path} is no whole {model.config.model_type} encoder: {', '.join(sorted(encoder)[:3])}, ... would be "
                f"random. Give a folder that save_pretrained wrote."
            )
        for name, child in model.named_children():
            if name != model.base_model_prefix:
                child.apply(lambda module: _initialise(module, model.config.initializer_range))
    return Classifier(model, _load_tokenizer(path, model))


def load_student(path: str | Path, task: Task, seed: int = 0) -> Classifier:
    """Load any checkpoint as a student of `task`.

    A head that was trained for the task's labels (or for as many without names) is kept; any other, or none, is
    replaced by a fresh one, drawn with `seed`.

    Raises:
        UserError: no model there, or one whose encoder is not whole.
    """
    model, missing = _load_model(path)
    if missing or _label_fault(model, task) is not None:
        return load_encoder(path, task, seed)
    for name, value in label_settings(task).items():
        setattr(model.config, name, value)
    return Classifier(model, _load_tokenizer(path, model))


def _initialise(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()


def _load_model(path: str | Path, **settings: Any) -> tuple[PreTrainedModel, set[str]]:
    _check_location(path)
    source = source_settings(path)
    try:
        with quiet():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                path, output_loading_info=True, dtype=torch.float32, **source, **settings
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        where = "that folder is not whole" if Path(path).is_dir() else "give a local folder where no hub is reached"
        raise UserError(f"Cannot load a model from {path}, {where}: {_first_line(error)}") from error
    return model, set(info["missing_keys"])


def _load_tokenizer(path: str | Path, model: PreTrainedModel) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **source_settings(path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"No tokenizer in {path}: {_first_line(error)} Save it there with tokenizer.save_pretrained."
        ) from error
    # Where its files are missing the library makes an empty tokenizer, to which every word is unknown.
    if len(tokenizer) < model.config.vocab_size // 2:
        raise UserError(
            f"The tokenizer in {path} knows {len(tokenizer)} tokens, its model {model.config.vocab_size}: "
            f"put the model's own tokenizer files beside it."
        )
    return tokenizer


def _check_location(path: str | Path) -> None:
    folder = Path(path)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"No model in {path}: config.json is missing. Give a folder that save_pretrained wrote.")
    elif folder.is_absolute() or str(path).startswith((".", "runs/")) or str(path).count("/") > 1:
        raise UserError(f"No such model folder: {path}. Give a folder that save_pretrained wrote, or a hub id.")


def _check_labels(model: PreTrainedModel, task: Task, path: str | Path) -> None:
    fault = _label_fault(model, task)
    if fault is not None:
        raise UserError(f"{path} {fault}")


def _label_fault(model: PreTrainedModel, task: Task) -> str | None:
    """Say in what a model's labels are not the task's; None where they are."""
    if task.regression and model.config.num_labels == 1:
        return None
    names: dict[Any, str] = model.config.id2label or {}
    labels = tuple(names[i] for i in sorted(names))
    if len(labels) != task.num_labels:
        told = "gives a score" if len(labels) == 1 else f"tells {len(labels)} labels apart"
        has = "asks for a score" if task.regression else f"has {task.num_labels} ({', '.join(task.labels)})"
        return f"{told}, {task.name} {has}: give a model fine-tuned on {task.name}."
    unnamed = all(label == f"LABEL_{i}" for i, label in enumerate(labels))
    if not unnamed and labels != task.labels:
        return (
            f"orders its labels {', '.join(labels)}, {task.name} has {', '.join(task.labels)}: "
            f"give a model fine-tuned on {task.name}, or mend id2label in its config.json."
        )
    return None


def input_length(classifier: Classifier, max_length: int | None) -> int:
    """Return how many tokens an input may have: `max_length` or, unless given, 128 or what the model takes if less.

    Raises:
        UserError: `max_length` is more than the model has positions for.
    """
    available = positions(classifier.model) or DEFAULT_LENGTH
    if max_length is None:
        return min(DEFAULT_LENGTH, available)
    if max_length > available:
        raise UserError(f"max_length is {max_length}, the model takes {available} tokens: lower max_length to that.")
    return max_length


def label_settings(task: Task) -> dict[str, Any]:
    """Return the entries of a model's config that name the task's labels in order, or make it a regression."""
    if task.regression:
        return {"num_labels": 1, "problem_type": "regression"}
    return {
        "num_labels": task.num_labels,
        "id2label": dict(enumerate(task.labels)),
        "label2id": {label: i for i, label in enumerate(task.labels)},
    }


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from the seed inside, and leave the global stream as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's own load report and shard progress; what they would tell, the checks here refuse."""
    verbosity, progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if progress:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
