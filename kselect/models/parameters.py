"""How large a model is, and where its parameters are: embeddings, layers, or what turns them into answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from kselect.models.classifier import Classifier, count_parameters


def parameters_by_part(classifier: Classifier) -> dict[str, int]:
    """Return the number of parameters of embeddings, layers and head, and their total.

    Embeddings are those of tokens, positions and segments; the head is everything outside of the encoder, with the
    encoder's pooler. Weights that several layers share count once.
    """
    model = classifier.model
    encoder = model.base_model
    tables = [module for name, module in encoder.named_children() if "embeddings" in name]
    embeddings = count_parameters(*(tables or [model.get_input_embeddings()]))
    total = count_parameters(model, classifier.head)
    pooler = count_parameters(*(module for name, module in encoder.named_children() if name == "pooler"))
    head = total - count_parameters(encoder) + pooler
    return {"embeddings": embeddings, "layers": total - embeddings - head, "head": head, "total": total}


def describe_parameters(student: Mapping[str, int], teacher: Mapping[str, int] | None = None) -> str:
    """Return the numbers of `parameters_by_part` in words, and what share of the teacher's they are, if it has any."""
    by_part = ", ".join(f"{name} {student[name] / 1e6:.2f}" for name in ("embeddings", "layers", "head"))
    share = "" if teacher is None else f", {student['total'] / teacher['total']:.0%} of the teacher's"
    return f"{student['total'] / 1e6:.2f} million parameters ({by_part}){share}"


def size_of(classifier: Classifier) -> dict[str, Any]:
    """Return `parameters_by_part` and the size in MiB, as results.json holds them."""
    return {"parameters": parameters_by_part(classifier), "mebibytes": mebibytes(classifier)}


def mebibytes(classifier: Classifier) -> float:
    """Return the size of model and head in memory, in MiB; weights that are shared count once."""
    tensors: dict[int, torch.Tensor] = {}
    for module in (classifier.model, classifier.head):
        tensors |= {value.data_ptr(): value for value in module.state_dict().values()}
    return sum(value.numel() * value.element_size() for value in tensors.values()) / 2**20
