"""Where a model comes from: base model, licence and language, read from the cards of the models that it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from kselect.errors import first_line
from kselect.logging import get_logger
from kselect.models.hub import saved_file
from kselect.tasks.glue import GLUE_FORMATS

CARD = "README.md"
LICENCE = ("license", "license_name", "license_link")
GLUE = "nyu-mll/glue"
"""GLUE's name on the Hub."""


def read_origin(models: Sequence[str]) -> dict[str, Any]:
    """Return what the cards of teachers and encoders say of a model that is made of them.

    Args:
        models: folders, or hub ids.

    Returns:
        Under the names of `huggingface_hub.ModelCardData`: `base_model`, the hub ids that the models are, or are made
        of; `license` with its name and link, and `language`, each if all cards agree. Under `licenses` that of each
        model, None where it is unknown.
    """
    cards = [_metadata(model) for model in models]
    bases = [
        base
        for model, card in zip(models, cards, strict=True)
        for base in (_listed(card.get("base_model")) if Path(model).is_dir() else [model])
    ]
    found: dict[str, Any] = {"licenses": [card.get("license") for card in cards]}
    found["base_model"] = list(dict.fromkeys(base for base in bases if is_repository(base)))
    for names in (LICENCE, ("language",)):
        said = [{name: card[name] for name in names if card.get(name)} for card in cards]
        if said and all(each == said[0] for each in said):
            found |= said[0]
    return {name: value for name, value in found.items() if value}


def datasets_of(settings: Mapping[str, Any]) -> list[str]:
    """Return the names on the Hub of the data that settings of a task read; none where they are files."""
    dataset = settings.get("dataset")
    if dataset is not None:
        return [] if Path(dataset).exists() or not is_repository(dataset) else [dataset]
    files = any(settings.get(name) for name in ("train_file", "test_file"))
    return [GLUE] if settings.get("task") in GLUE_FORMATS and not files else []


def is_repository(name: Any) -> bool:
    """Whether a name could be that of a repository on the Hub, `user/name` or `name`."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _metadata(model: str) -> Mapping[str, Any]:
    """Return the front matter of a model's card; nothing where there is none."""
    card = saved_file(model, CARD)
    if card is None:
        return {}
    try:
        return metadata_load(card) or {}
    except (ValueError, yaml.YAMLError) as error:
        get_logger().warning(
            "%s has front matter that cannot be read (%s): its licence is unknown.", card, first_line(error)
        )
        return {}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
