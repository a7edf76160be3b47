"""Exported graphs: the scores of the model itself, for every architecture and head, at any size of batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kselect.config.export import ExportFormat
from kselect.distillation.evaluation import forward_batches
from kselect.errors import KselectError
from kselect.export.comparison import TOLERANCE, check_parity, compare
from kselect.export.formats import FORMATS, GraphFormat
from kselect.export.graph import head_facts, scores_of
from kselect.export.session import Session
from kselect.models.classifier import Classifier
from kselect.models.heads.registry import PARSING, TAGGING
from kselect.models.output_layer import output_layer
from kselect.tasks.task import Task
from tests.architectures import CONFIGS, classifier, tiny_regression
from tests.tiny import tiny_classifier, tiny_task
from tests.words import task_for, word_classifier


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> GraphFormat:
    """Every format in turn, where its packages are installed."""
    form = FORMATS[request.param]
    for name in form.packages:
        pytest.importorskip(name, reason=f"{name} is not installed")
    return form


def exported(
    form: GraphFormat, model: Classifier, task: Task[Any], folder: Path, length: int = 32
) -> tuple[Session, Any]:
    """The session of a model traced with two examples, and the encoded examples of train."""
    encoded = task.encode(task.splits["train"], model.tokenizer, length)
    shortest, longest = int(encoded.lengths.argmin()), int(encoded.lengths.argmax())
    form.exporter.save(form.exporter.export(model, encoded.batch([shortest, longest])), folder / form.fp32)
    return Session(form.load(folder / form.fp32), {**head_facts(model), "labels": list(task.labels)}), encoded


def check_same(form: GraphFormat, model: Classifier, task: Task[Any], folder: Path, length: int = 32) -> None:
    session, encoded = exported(form, model, task, folder, length)
    for batch_size in (1, 7, len(encoded)):
        found = compare(model, {"export": session}, task, encoded, batch_size)["export"]
        assert 0 < found.difference <= TOLERANCE
        assert found.changed == 0


def test_every_format_can_be_chosen() -> None:
    assert tuple(FORMATS) == get_args(ExportFormat)


@pytest.mark.slow
def test_a_text_classifier_is_exported_and_quantised(form: GraphFormat, tmp_path: Path) -> None:
    task, model = tiny_task("synthetic-entailment"), classifier("bert", tiny_task("synthetic-entailment"), layers=1)
    check_same(form, model, task, tmp_path)
    encoded = task.encode(task.splits["train"], model.tokenizer, 32)
    graph = form.exporter.export(model, encoded.batch([0, 1]))
    form.exporter.save(form.exporter.quantized(graph), tmp_path / form.int8)
    session = Session(form.load(tmp_path / form.int8), head_facts(model))
    found = compare(model, {"int8": session}, task, encoded, 16)
    with torch.no_grad():
        output_layer(model.model).bias.add_(0.01)  # what a later training changes
    assert compare(model, {"int8": session}, task, encoded, 16)["int8"].difference != found["int8"].difference
    assert found["pytorch"].difference == found["pytorch"].changed == 0
    assert TOLERANCE < found["int8"].difference < 1


@pytest.mark.slow
def test_a_parser_is_exported(form: GraphFormat, tmp_path: Path) -> None:
    check_same(form, word_classifier("parser", layers=1), task_for("parser"), tmp_path, 24)


@pytest.mark.nightly
@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_architecture_is_exported(form: GraphFormat, architecture: str, tmp_path: Path) -> None:
    task = tiny_task("synthetic-entailment")
    check_same(form, classifier(architecture, task, layers=2), task, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("head", [*TAGGING, *PARSING])
@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_every_head_of_words_is_exported(form: GraphFormat, head: str, architecture: str, tmp_path: Path) -> None:
    check_same(form, word_classifier(head, architecture), task_for(head), tmp_path, 24)


@pytest.mark.nightly
def test_a_regression_is_exported(form: GraphFormat, tmp_path: Path) -> None:
    task = tiny_regression()
    check_same(form, classifier("roberta", task, layers=2), task, tmp_path)


class FixedGraph:
    """Returns logits that were computed before, a row for each example, whatever it is fed."""

    inputs: tuple[str, ...] = ("input_ids",)

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self.logits = logits

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"logits": self.logits}


@torch.no_grad()
@pytest.mark.parametrize("shift", [0.0, 0.5, np.nan])
def test_one_output_that_differs_is_found(shift: float) -> None:
    task = tiny_task()
    model = tiny_classifier(task, layers=1)
    encoded = task.encode(task.splits["dev"], model.tokenizer, 32)
    size = len(encoded)
    ((_, _, outputs),) = forward_batches(model, encoded, np.arange(size), size, torch.float32)
    logits = scores_of(model.head.name, outputs.answer)["logits"].numpy().copy()
    logits[-1, 0] += shift
    session = Session(FixedGraph(logits), {**head_facts(model), "labels": list(task.labels)})
    found = compare(model, {"export": session}, task, encoded, size)["export"]
    assert found.difference == pytest.approx(shift, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("difference", [2 * TOLERANCE, np.nan])
def test_other_scores_are_refused(difference: float) -> None:
    check_parity(TOLERANCE / 2, "model", ["onnx"])
    with pytest.raises(KselectError, match=r"The export of model differs from it by .* other versions of onnx"):
        check_parity(difference, "model", ["onnx"])
