"""A classifier as a graph, from a batch of token ids to the scores that its head decodes."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.exporters import DynamoConfig, DynamoExporter, ExportQuantizer

from kselect.errors import KselectError, first_line
from kselect.models.architecture import input_names
from kselect.models.classifier import Classifier
from kselect.models.heads import Answer
from kselect.models.heads.parser import SecondOrderAnswer
from kselect.models.needs import Needs
from kselect.models.outputs import forward
from kselect.models.pretrained import quiet

SCORES: dict[str, tuple[str, ...]] = {
    "classes": ("logits",),
    "labels": ("logits",),
    "score": ("logits",),
    "tagger": ("logits",),
    "crf": ("emissions",),
    "spans": ("scores",),
    "parser": ("arcs", "relations"),
    "second-order-parser": ("arcs", "relations", "siblings", "grandparents"),
    "tree-tagger": ("logits",),
}
"""What each head's answer is decoded from, by the names of its fields: the outputs of the graph."""
WORDS = ("word_positions", "word_mask")
"""Further inputs of a graph for words."""


def scores_of(head: str, answer: Answer) -> dict[str, Tensor]:
    """Return what the answer of a head is decoded from, by name."""
    return {name: getattr(answer, name) for name in SCORES[head]}


class Scoring(nn.Module):
    """A classifier as a function of tensors, which exporters can trace."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.model, self.head = classifier.model, classifier.head

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """Return the scores of a batch, as `EncodedSplit.batch` makes it, by name."""
        return scores_of(self.head.name, forward(self.model, batch, Needs()).under(self.head).answer)


@dataclass(frozen=True)
class GraphExporter:
    """What makes graphs of one format.

    Attributes:
        exporter: an exporter of transformers; made where it is used, for it then prints notes on versions.
        config: its settings.
        quantizer: a quantizer of transformers, for graphs of this format.
        save: writes a graph with its weights to a path.
    """

    exporter: type[DynamoExporter]
    config: DynamoConfig
    quantizer: ExportQuantizer
    save: Callable[[Any, Path], object]

    def export(self, classifier: Classifier, batch: Mapping[str, Tensor]) -> Any:
        """Trace a classifier on the CPU; sizes of batches, texts and sentences stay free.

        Args:
            classifier: any model and head; the graph may share its weights until it is saved.
            batch: at least two examples of different lengths, as `EncodedSplit.batch` returns them.

        Raises:
            KselectError: the architecture cannot be traced.
        """
        taken = [name for name in batch if name in input_names(classifier.model) or name in WORDS]
        module: Any = Scoring(classifier).eval()  # exporters are annotated as taking models of transformers only
        try:
            with _silenced():
                return self.exporter().export(module, {name: batch[name] for name in taken}, self.config).program
        except Exception as error:  # tracing may raise any error of the model's code
            raise KselectError(
                f"A {classifier.model.config.model_type} cannot be exported: {first_line(error)} Give a model of "
                "another architecture."
            ) from error

    def quantized(self, graph: Any) -> Any:
        """Return a copy with weights in int8; activations are quantised as they are computed."""
        with _silenced():
            return self.quantizer.quantize(graph.clone(), {}, self.config.export_format)


@contextmanager
def _silenced() -> Iterator[None]:
    """Hide what the exporters print, and their notes on versions: the result is compared with the model itself."""
    level = logging.root.manager.disable
    with quiet(), warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(level)


def head_facts(classifier: Classifier) -> dict[str, Any]:
    """Return what decoding needs to know of a head, in addition to its scores: plain lists and numbers."""
    head = classifier.head
    tables = {"crf": ("transitions", "start", "end"), "tree-tagger": ("offsets", "relations")}
    facts: dict[str, Any] = {"head": head.name}
    with torch.no_grad():
        facts |= {name: getattr(head, name).tolist() for name in tables.get(head.name, ())}
    if hasattr(head, "root_relation"):
        facts["root_relation"] = head.root_relation
    if head.name == "second-order-parser":
        facts["iterations"] = SecondOrderAnswer.iterations
    return facts
