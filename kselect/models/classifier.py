"""A classifier: a model, its head and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kselect.errors import KselectError, first_line
from kselect.hub import model_card, push_folder
from kselect.io import replacing_files
from kselect.models.architecture import fused_attention, positions
from kselect.models.checksums import save_checksums
from kselect.models.heads import Classes, Head, Labels, Score
from kselect.models.heads.saved import save_head
from kselect.models.pretrained import quiet
from kselect.tasks.fingerprint import Fingerprint, save_fingerprint

if TYPE_CHECKING:
    from kselect.tasks.task import Task


@dataclass
class Classifier:
    """A model that classifies texts, words, spans or arcs, together with the tokenizer that its inputs come from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: Head = field(default_factory=Classes)
    """Turns the model's output into answers; its weights are saved next to the model."""
    labels: tuple[str, ...] | None = None
    """Names of the labels of words; None where the model's config has them."""
    new_parameters: int = 0
    """Number of parameters that were randomly initialised when it was made, such as those of a new head."""
    training_texts: Fingerprint | None = field(default=None, repr=False, compare=False)
    """Hashes of the texts that it was trained on, saved next to the model; None where these are not known."""

    def __post_init__(self) -> None:
        """Treat a text model with a single label as a regression, and one that says so as of several labels a text."""
        if not isinstance(self.head, Classes):
            return
        if self.model.config.num_labels == 1:
            self.head = Score()
        elif self.model.config.problem_type == "multi_label_classification" and self.labels is None:
            self.head = Labels()

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
        """Number of labels; 1 for a regression."""
        return int(self.model.config.num_labels or 0) if self.labels is None else len(self.labels)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and tokenizer as plain transformers files, readable without this package.

        The head of a model of words is written next to them, as JSON and safetensors, and so are checksums, and hashes
        of the texts that the model was trained on, where these are known (see `kselect.tasks.fingerprint`).

        Raises:
            UnwritableError: the files cannot be written; those that were there before are unchanged.
        """
        self.model.set_attn_implementation(fused_attention(self.model))
        with replacing_files(Path(folder)) as partial:
            try:
                with quiet():
                    self.model.save_pretrained(partial)
                    self.tokenizer.save_pretrained(partial)
                if self.labels is not None:
                    save_head(self.head, self.labels, partial)
            except Exception as error:  # safetensors and tokenizers have errors of their own, for a full disk, too
                if isinstance(error, SafetensorError) or type(error) is Exception:
                    raise OSError(first_line(error)) from error
                raise
            if self.training_texts is not None:
                save_fingerprint(self.training_texts, partial)
            save_checksums(partial)

    @classmethod
    def from_pretrained(cls, path: str | Path, task: Task) -> Classifier:
        """Load a classifier of `task` from a folder or the Hugging Face Hub; the same as `kselect.load_teacher`."""
        from kselect.models.loading import load_classifier

        return load_classifier(path, task)

    def push_to_hub(self, repo_id: str, *, card: str | None = None, **options: Any) -> str:
        """Upload model, tokenizer and head to the Hugging Face Hub.

        Args:
            repo_id: The repository, such as "user/student".
            card: Text of the model card, such as the README.md of a run; by default a short one.
            options: Such as `private`, `token` and `commit_message`; see `kselect.hub.push_folder`.

        Returns:
            The address of the commit.

        Raises:
            KselectError: the Hub refuses, or cannot be reached.
        """
        text = f"A {self.model.config.model_type} of {self.layers} layers, distilled or fine-tuned with kselect."
        card = card or model_card("Classifier", text, ["knowledge-distillation"], library_name="transformers")
        return push_folder(self.save_pretrained, repo_id, card, **options)


def count_parameters(*modules: nn.Module) -> int:
    """Return the number of parameters of all modules together."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


DEFAULT_LENGTH = 128
LONGEST = 512  # where neither task nor model sets a limit


def input_length(classifier: Classifier, max_length: int | None, usual: int | None = DEFAULT_LENGTH) -> int:
    """Return the longest input in tokens: `max_length` or, by default, `usual` or what the model takes if less."""
    available = positions(classifier.model)
    if max_length is None:
        return min(length for length in (usual, available, LONGEST) if length is not None)
    if available is not None and max_length > available:
        raise KselectError(f"max_length is {max_length}, the model takes {available} tokens: lower max_length to that.")
    return max_length
