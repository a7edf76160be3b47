"""A student made of some of its teacher's layers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from kselect.errors import KselectError, check_type
from kselect.models.classifier import Classifier


def uniform_layers(teacher_layers: int, student_layers: int) -> list[int]:
    """Spread the student's layers evenly over the teacher's, the last one included (counted from 1).

    >>> uniform_layers(6, 3)
    [2, 4, 6]
    """
    return [(i + 1) * teacher_layers // student_layers for i in range(student_layers)]


def shrink(teacher: Classifier, layers: int | Sequence[int] = 3) -> Classifier:
    """Copy the teacher, keeping only some of its transformer layers; embeddings, pooler and head come along.

    Where all layers share their weights (ALBERT), fewer of them are run. What the architecture has only behind its
    first layer, such as ModernBERT's norm before the attention, a layer that becomes the first one leaves behind.

    Args:
        teacher: the classifier to copy from; it is left as it is.
        layers: how many layers to keep, spread evenly, or which ones, counted from 1, in rising order.

    Raises:
        KselectError: an argument of another type, more layers than the teacher has, a layer out of range, layers out of
            order, or layers by name where they share their weights.
    """
    check_type("teacher", teacher, Classifier, "a Classifier, such as `load_teacher` returns")
    kept = _chosen(layers, teacher.layers)
    model = copy.deepcopy(teacher.model)
    if hasattr(model.config, "num_hidden_groups"):
        if not isinstance(layers, int):
            raise KselectError(
                f"layers names {', '.join(map(str, kept))}, but the layers of {model.config.model_type} share their "
                f"weights: give how many to keep."
            )
    else:
        _keep(model, kept)
    model.config.num_hidden_layers = len(kept)
    if getattr(model.config, "layer_types", None) is not None:
        model.config.layer_types = [model.config.layer_types[i - 1] for i in kept]
    _fit_to_config(model)
    model.train(False)
    head = copy.deepcopy(teacher.head)
    return Classifier(model, teacher.tokenizer, head, teacher.labels, training_texts=teacher.training_texts)


def _keep(model: PreTrainedModel, kept: list[int]) -> None:
    name, stack = _layer_stack(model)
    layers = [stack[i - 1] for i in kept]
    model.set_submodule(name, nn.ModuleList(layers))
    for index, layer in enumerate(layers):
        modules: Iterator[Any] = layer.modules()
        for module in modules:
            if getattr(module, "layer_idx", None) is not None:
                module.layer_idx = index


def _fit_to_config(model: PreTrainedModel) -> None:
    """Make the model what the library builds from its config, so that it loads again as it is."""
    try:
        with torch.device("meta"):
            built = type(model)(copy.deepcopy(model.config))
    except Exception as error:  # any error of an architecture whose config names more layers elsewhere
        raise KselectError(
            f"Cannot shrink a {type(model).__name__}, whose config does not fit fewer layers: "
            f"{' '.join(str(error).split())} Give a smaller student."
        ) from error
    for name, module in built.named_modules():
        if isinstance(module, nn.Identity):
            model.set_submodule(name, nn.Identity())
    ours, theirs = ({name: value.shape for name, value in one.state_dict().items()} for one in (model, built))
    unlike = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if unlike:
        raise KselectError(
            f"Cannot shrink a {type(model).__name__}: {unlike[0]} does not fit fewer layers. Give a smaller student."
        )


def _chosen(layers: int | Sequence[int], available: int) -> list[int]:
    if isinstance(layers, int) and not isinstance(layers, bool):
        if not 1 <= layers <= available:
            raise KselectError(f"layers is {layers}, the teacher has {available}: give a number from 1 to {available}.")
        return uniform_layers(available, layers)
    if isinstance(layers, bool | str) or not isinstance(layers, Iterable):
        check_type("layers", layers, list, "how many layers to keep, or a list of those to keep")
    kept = [*layers]  # type: ignore[misc]  # a bool is refused above
    for layer in kept:
        check_type("layers", layer, Integral, "the numbers of the layers to keep, from 1")
        if not 1 <= layer <= available:
            raise KselectError(f"layers names {layer}, the teacher has 1 to {available}: name layers among those.")
    if not kept or kept != sorted(set(kept)):
        raise KselectError(f"layers is {kept}: name at least one layer, in rising order, none twice.")
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
        raise KselectError(
            f"Cannot shrink a {type(model).__name__}: found {len(stacks)} stacks of {depth} layers, need just one. "
            f"Give a smaller checkpoint as student instead."
        )
    return stacks[0]
