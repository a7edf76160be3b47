"""The head of a classifier: what stands behind its encoder, up to the layer that gives the logits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from kselect.errors import KselectError
from kselect.tasks.task import Task, TextTask

DEVIATION = 0.02  # of first weights, where a config gives none


def redraw(model: PreTrainedModel, unfit: Collection[str]) -> None:
    """Draw the output layer anew, and with it what the checkpoint did not fill: the tensors named `unfit`.

    What else it brought along is pretrained, and stays; the whole head goes where it was fine-tuned for some task.
    """
    output = output_layer(model)
    fine_tuned = any("SequenceClassification" in name for name in model.config.architectures or ())
    for name, module in _modules(model):
        filled = not any(f"{name}.{own}" in unfit for own, _ in module.named_parameters(recurse=False))
        if fine_tuned or module is output or not filled:
            _initialise(module, getattr(model.config, "initializer_range", DEVIATION))


def centre(model: PreTrainedModel, task: Task) -> None:
    """Let the answers of a regression start at train's mean score, which a short training would only be spent on."""
    bias = output_layer(model).bias
    if isinstance(task, TextTask) and task.regression and bias is not None:
        nn.init.constant_(bias, float(np.mean(task.labelled.labels)))


@torch.no_grad()
def reorder(model: PreTrainedModel, order: Sequence[int]) -> None:
    """Put the labels in another order: the label at `order[i]` comes to i."""
    for parameter in output_layer(model).parameters():
        parameter.copy_(parameter[list(order)])


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the layer that gives the logits."""
    labels = model.config.num_labels
    linear = [one for _, one in _modules(model) if isinstance(one, nn.Linear) and one.out_features == labels]
    if not linear:
        raise KselectError(f"Cannot tell the output layer of a {type(model).__name__}: give another architecture.")
    return linear[-1]


def _modules(model: PreTrainedModel) -> list[tuple[str, nn.Module]]:
    return [
        (name, one) for name, one in model.named_modules() if name.split(".")[0] not in ("", model.base_model_prefix)
    ]


def _initialise(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
