"""The output layer of a classifier: everything behind its encoder."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from kselect.errors import KselectError
from kselect.tasks.task import Task, TextTask

DEVIATION = 0.02  # of initial weights, for configs that do not set it


def redraw(model: PreTrainedModel, unfit: Collection[str]) -> int:
    """Reinitialise the output layer, and every module whose weights are not in the checkpoint (`unfit`).

    Other pretrained weights stay, unless the checkpoint was fine-tuned for some task: then the whole head is replaced.

    Returns:
        The number of parameters that were reinitialised.
    """
    count = 0
    output = output_layer(model)
    fine_tuned = any("SequenceClassification" in name for name in model.config.architectures or ())
    for name, module in _modules(model):
        filled = not any(f"{name}.{own}" in unfit for own, _ in module.named_parameters(recurse=False))
        if fine_tuned or module is output or not filled:
            count += _initialise(module, getattr(model.config, "initializer_range", DEVIATION))
    return count


def centre(model: PreTrainedModel, task: Task) -> None:
    """Initialise the bias of a regression to the mean score of train, so that training need not learn it."""
    bias = output_layer(model).bias
    if isinstance(task, TextTask) and task.regression and bias is not None:
        nn.init.constant_(bias, float(np.mean(task.labelled.labels)))


@torch.no_grad()
def reorder(model: PreTrainedModel, order: Sequence[int]) -> None:
    """Reorder the labels: the label at `order[i]` moves to i."""
    for parameter in output_layer(model).parameters():
        parameter.copy_(parameter[list(order)])


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the layer that gives the logits."""
    labels = model.config.num_labels
    linear = [one for _, one in _modules(model) if isinstance(one, nn.Linear) and one.out_features == labels]
    if not linear:
        raise KselectError(f"Cannot find the output layer of a {type(model).__name__}: give another architecture.")
    return linear[-1]


def _modules(model: PreTrainedModel) -> list[tuple[str, nn.Module]]:
    return [
        (name, one) for name, one in model.named_modules() if name.split(".")[0] not in ("", model.base_model_prefix)
    ]


def _initialise(module: nn.Module, deviation: float) -> int:
    """Reinitialise a linear layer or a norm; returns the number of its parameters, 0 for any other module."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
    else:
        return 0
    return sum(parameter.numel() for parameter in module.parameters())
