"""A sequence classifier and its tokenizer, loaded with its pitfalls checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from kselect.models.heads import Classes, Head, Score
from kselect.models.heads.registry import is_text, save_head
from kselect.models.hub import source_settings
from kselect.models.label_order import check_order
from kselect.models.location import check_location
from kselect.models.output_layer import centre, redraw, reorder
from kselect.tasks.encoding import EncodedSplit

if TYPE_CHECKING:
    from kselect.tasks.task import Task


DEFAULT_LENGTH = 128
LONGEST = 512  # where neither task nor model sets a limit
JUDGED_BY = 200  # reward examples that tell whether unnamed labels stand in the task's order


@dataclass
class Classifier:
    """A model that classifies texts, words, spans or arcs, together with the tokenizer that its inputs come from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: Head = field(default_factory=Classes)
    """Makes answers of what the model gives; what it learns is saved beside the model."""
    labels: tuple[str, ...] | None = None
    """Names of what it answers with, where the model's config does not tell them."""

    def __post_init__(self) -> None:
        """Take a single label of a model of texts for a score."""
        if isinstance(self.head, Classes) and self.model.config.num_labels == 1:
            self.head = Score()

    def to(self, device: torch.device) -> Classifier:
        """Move model and head to `device`; returns the classifier itself."""
        nn.Module.to(self.model, device)
        self.head.to(device)
        return self

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

    @property
    def num_labels(self) -> int:
        """How many labels it tells apart; 1 where it gives a score."""
        return int(self.model.config.num_labels or 0) if self.labels is None else len(self.labels)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and tokenizer as plain transformers files, readable without this package.

        What the head of a model of words is, and what it has learned, lies beside them, as JSON and safetensors.
        """
        self.model.set_attn_implementation(fused_attention(self.model))
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        if self.labels is not None:
            save_head(self.head, self.labels, folder)


def load_classifier(path: str | Path, task: Task) -> Classifier:
    """Load a fine-tuned classifier (teacher or student) for `task` from a folder or a hub id.

    A head whose labels are the task's in another order, or in other case, is put in the task's.

    Raises:
        UserError: no model there; one of words for a task of texts; weights that do not fill it (they are named), the
            head's or others; labels other than the task's, or without names and clearly in another order.
    """
    if not is_text(task):
        return words().load_word_classifier(path, task)
    model, unfit = load_pretrained(path)
    words().refuse_words(path, task)
    if unfit:
        raise UserError(
            f"{path} is not fine-tuned: {', '.join(sorted(unfit))} would be random. "
            f"Run `kselect train-teacher --encoder {path} --task {task.name}` and use the model it saves."
        )
    fault = _label_fault(model, task)
    if fault is not None:
        raise UserError(f"{path} {fault}.")
    unnamed = not task.regression and _unnamed(_label_names(model), task)
    _take_labels(model, task)
    classifier = Classifier(model, load_tokenizer(path, model))
    if unnamed:
        check_order(model, task.labels, _reward_examples(classifier, task), path)
    return classifier


def load_encoder(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load a pretrained encoder and put a fresh head for `task` on it, drawn with `seed`.

    A head that the checkpoint was fine-tuned with, for whatever task, is replaced; of a pretrained one only the output
    layer is.

    Raises:
        UserError: no model there, or one whose encoder is not whole.
    """
    if not is_text(task):
        return words().new_word_classifier(path, task, head, seed)
    with seeded(seed):
        model, unfit = load_pretrained(path, **label_settings(task))
        redraw(model, unfit)
        centre(model, task)
    return Classifier(model, load_tokenizer(path, model))


def load_student(path: str | Path, task: Task, seed: int = 0, head: str | None = None) -> Classifier:
    """Load any checkpoint as a student of `task`.

    A head that was trained for the task's labels (or for as many without names) is kept; any other, or none, is
    replaced by a fresh one, drawn with `seed`.

    Raises:
        UserError: no model there, or one whose encoder is not whole.
    """
    if not is_text(task):
        trained = words().is_trained(path, task, head)
        return words().load_word_classifier(path, task) if trained else load_encoder(path, task, seed, head)
    model, unfit = load_pretrained(path)
    if unfit or _label_fault(model, task) is not None:
        return load_encoder(path, task, seed)
    _take_labels(model, task)
    return Classifier(model, load_tokenizer(path, model))


def words() -> Any:
    """Return what loads models of words, which builds on what is here."""
    from kselect.models import word_classifier

    return word_classifier


def load_pretrained(
    path: str | Path, auto: Any = AutoModelForSequenceClassification, **settings: Any
) -> tuple[PreTrainedModel, set[str]]:
    """Load a model whose encoder is whole; with it the names of other weights that the checkpoint does not fill."""
    check_location(path)
    source = source_settings(path)
    try:
        with quiet():
            model, info = auto.from_pretrained(
                path,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told by name, here and by those who load
                dtype=torch.float32,
                **source,
                **settings,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        where = "that folder is not whole" if Path(path).is_dir() else "give a local folder where no hub is reached"
        raise UserError(f"Cannot load a model from {path}, {where}: {_first_line(error)}") from error
    mismatched = {name for name, *_ in info["mismatched_keys"]}
    unfit = mismatched | set(info["missing_keys"])
    whole = model.base_model is model
    inside = [name for name in unfit if whole or name.startswith(f"{model.base_model_prefix}.")]
    encoder = sorted(name for name in inside if name in mismatched or "pooler" not in name)
    if encoder:
        raise UserError(
            f"{path} is no whole {model.config.model_type} encoder: {', '.join(encoder[:3])}, ... would be random. "
            f"Give a folder that save_pretrained wrote."
        )
    return model, unfit.difference(inside) if whole else unfit


def load_tokenizer(path: str | Path, model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """Load the tokenizer that lies beside a model.

    Raises:
        UserError: there is none, or it is not the model's.
    """
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


def _label_fault(model: PreTrainedModel, task: Task) -> str | None:
    """Say in what a model's labels are not the task's, in whatever order; None where they are, or have no names."""
    names = _label_names(model)
    if len(names) != task.num_labels or (len(names) == 1) != task.regression:
        told = "gives a score" if len(names) == 1 else f"tells {len(names)} labels apart"
        has = "asks for a score" if task.regression else f"has {task.num_labels} ({', '.join(task.labels)})"
        return f"{told}, {task.name} {has}: give a model fine-tuned on {task.name}"
    if task.regression or _unnamed(names, task) or order_of(names, task) is not None:
        return None
    return (
        f"names its labels {', '.join(names)}, {task.name} has {', '.join(task.labels)}: give a model fine-tuned on "
        f"{task.name}, or each label the task's name for what it means (id2label in config.json; the order is free)"
    )


def _take_labels(model: PreTrainedModel, task: Task) -> None:
    """Give labels without a fault the task's order and names."""
    names = _label_names(model)
    order = order_of(names, task)
    if order is not None and order != sorted(order):
        reorder(model, order)
    for name, value in label_settings(task).items():
        setattr(model.config, name, value)


def _reward_examples(classifier: Classifier, task: Task) -> EncodedSplit | None:
    if "reward" not in task.splits:
        return None
    split = task.splits["reward"]
    first = split.take(range(min(JUDGED_BY, len(split))))
    return task.encode(first, classifier.tokenizer, input_length(classifier, None))


def _label_names(model: PreTrainedModel) -> tuple[str, ...]:
    names: dict[Any, str] = model.config.id2label or {}
    return tuple(str(names[i]) for i in sorted(names))


def _unnamed(names: Sequence[str], task: Task) -> bool:
    return order_of(names, task) is None and all(name == f"LABEL_{i}" for i, name in enumerate(names))


def order_of(names: Sequence[str], task: Task) -> list[int] | None:
    """Return where each of the task's labels stands among `names`; None where they are others.

    Case tells none apart, unless the task itself has labels that differ in nothing else.
    """
    alike = str.casefold if len({label.casefold() for label in task.labels}) == task.num_labels else str
    places = {alike(name): i for i, name in enumerate(names)}
    wanted = [alike(label) for label in task.labels]
    return [places[label] for label in wanted] if sorted(places) == sorted(wanted) else None


def input_length(classifier: Classifier, max_length: int | None, usual: int | None = DEFAULT_LENGTH) -> int:
    """Return how many tokens an input may have: `max_length` or, unless given, `usual` or what the model takes if less.

    Raises:
        UserError: `max_length` is more than the model has positions for.
    """
    available = positions(classifier.model)
    if max_length is None:
        return min(length for length in (usual, available, LONGEST) if length is not None)
    if available is not None and max_length > available:
        raise UserError(f"max_length is {max_length}, the model takes {available} tokens: lower max_length to that.")
    return max_length


def label_settings(task: Task) -> dict[str, Any]:
    """Return the entries of a model's config that name the task's labels in order, or make it a regression."""
    if task.regression:
        return {"num_labels": 1, "problem_type": "regression"}
    return {
        "num_labels": task.num_labels,
        "problem_type": "single_label_classification",
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
