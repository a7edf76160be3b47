"""A student made of some of its teacher's layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from kselect.errors import UserError
from kselect.models.classifier import Classifier


def uniform_layers(teacher_layers: int, student_layers: int) -> list[int]:
    """Spread the student's layers evenly over the teacher's, the last one included (counted from 1).

    >>> uniform_layers(6, 3)
    [2, 4, 6]
    """
    return [(i + 1) * teacher_layers // student_layers for i in range(student_layers)]


def shrink(teacher: Classifier, layers: int | Sequence[int] = 3) -> Classifier:
    """Copy the teacher, keeping only some of its transformer layers; embeddings, pooler and head come along.

    Args:
        teacher: the classifier to copy from; it is left as it is.
        layers: how many layers to keep, spread evenly, or which ones, counted from 1, in rising order.

    Raises:
        UserError: more layers than the teacher has, a layer out of range, or layers out of order.
    """
    kept = _chosen(layers, teacher.layers)
    model = copy.deepcopy(teacher.model)
    stack_name, stack = _layer_stack(model)
    parent_name, _, attribute = stack_name.rpartition(".")
    setattr(model.get_submodule(parent_name), attribute, nn.ModuleList(stack[i - 1] for i in kept))
    for index, layer in enumerate(getattr(model.get_submodule(parent_name), attribute)):
        for module in layer.modules():
            if getattr(module, "layer_idx", None) is not None:
                module.layer_idx = index
    model.config.num_hidden_layers = len(kept)
    model.train(False)
    return Classifier(model, teacher.tokenizer)


def _chosen(layers: int | Sequence[int], available: int) -> list[int]:
    if isinstance(layers, int):
        if not 1 <= layers <= available:
            raise UserError(f"layers is {layers}, the teacher has {available}: give a number from 1 to {available}.")
        return uniform_layers(available, layers)
    kept = list(layers)
    for layer in kept:
        if not 1 <= layer <= available:
            raise UserError(f"layers names {layer}, the teacher has 1 to {available}: name layers among those.")
    if not kept or kept != sorted(set(kept)):
        raise UserError(f"layers is {kept}: name at least one layer, in rising order, none twice.")
    return kept


def _layer_stack(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Find the one list of `num_hidden_layers` equal modules that makes up the encoder."""
    depth = model.config.num_hidden_layers
    stacks = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth and len({type(layer) for layer in module}) == 1
    ]
    if len(stacks) != 1:
        raise UserError(
            f"Cannot shrink a {type(model).__name__}: found {len(stacks)} stacks of {depth} layers, need just one."
        )
    return stacks[0]
