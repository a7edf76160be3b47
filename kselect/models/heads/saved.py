"""The files of a head next to its model: head.json describes it, head.safetensors has what it learned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kselect.config import HEADS
from kselect.errors import KselectError
from kselect.io import from_json
from kselect.models.heads.answer import Head
from kselect.models.heads.registry import new_head
from kselect.models.hub import saved_file
from kselect.tasks.task import Task

FACTS, WEIGHTS = "head.json", "head.safetensors"


def save_head(head: Head, labels: tuple[str, ...], folder: str | Path) -> None:
    """Write the description and the weights of a head next to its model, as JSON and safetensors."""
    facts = {"head": head.name, "labels": list(labels), "sizes": head.sizes}
    Path(folder, FACTS).write_text(json.dumps(facts, indent=2) + "\n")
    weights = {name: value.contiguous() for name, value in head.state_dict().items()}
    if weights:
        save_file(weights, Path(folder, WEIGHTS))


def saved_facts(model: str | Path) -> dict[str, Any]:
    """Return the description of the head saved with a model, in a folder or on the hub; empty if there is none.

    Raises:
        KselectError: it is damaged, or missing where the head's weights are there.
    """
    path = saved_file(model, FACTS)
    if path is None:
        if Path(model, WEIGHTS).is_file():
            raise KselectError(f"{model} has a {WEIGHTS} without its {FACTS}: copy the whole folder of the model.")
        return {}
    try:
        facts = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KselectError(f"{path} cannot be read ({error}): save the model again.") from error
    if not isinstance(facts, dict) or "head" not in facts:
        raise KselectError(f"{path} does not name the head: save the model again.")
    wrong = [name for name, is_valid in ENTRIES.items() if name in facts and not is_valid(facts[name])]
    if wrong:
        raise KselectError(f"{path} has no valid {', '.join(wrong)}: save the model again.")
    return facts


def _are_labels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(label, str) for label in value)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, dict) and all(type(size) is int and size > 0 for size in value.values())


ENTRIES: dict[str, Callable[[Any], bool]] = {
    "head": lambda value: isinstance(value, str) and any(value in names for names in HEADS.values()),
    "labels": _are_labels,
    "sizes": _are_sizes,
}
"""Whether the value of each entry of head.json is valid."""


def load_head(
    name: str, task: Task, width: int, labels: tuple[str, ...], sizes: Mapping[str, int] | None, model: str | Path
) -> Head:
    """Make a head and load the weights that were saved with a model, in a folder or on the hub; see `new_head`.

    Raises:
        KselectError: no weights, damaged ones, or those of another head.
    """
    path = saved_file(model, WEIGHTS) or Path(model, WEIGHTS)
    try:
        with torch.device("meta"):  # takes no memory, whatever the sizes are
            expected = new_head(name, task, width, labels, sizes).state_dict()
        weights = _read_weights(path, expected) if expected else {}
    except KselectError:
        raise
    except (OSError, SafetensorError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise KselectError(
            f"{path} does not fit the head that {FACTS} describes ({reason}): save the model again."
        ) from error
    head = new_head(name, task, width, labels, sizes)
    head.load_state_dict(weights)
    return head


def _read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights of a head; refuse other names, shapes or types than `expected`, and what is not finite."""
    weights = load_file(path)
    differing = {name for name in expected.keys() | weights.keys() if _kind(expected, name) != _kind(weights, name)}
    if differing:
        name = min(differing)
        raise RuntimeError(f"{name} is {_kind(weights, name)}, expected {_kind(expected, name)}")
    not_finite = [name for name, value in weights.items() if not bool(value.isfinite().all())]
    if not_finite:
        raise KselectError(f"{path} has weights that are not finite ({', '.join(not_finite)}): train the model again.")
    return weights


def _kind(weights: Mapping[str, Tensor], name: str) -> str:
    """Return dtype and shape of weights by name."""
    if name not in weights:
        return "missing"
    return f"{str(weights[name].dtype).removeprefix('torch.')} {list(weights[name].shape)}"
