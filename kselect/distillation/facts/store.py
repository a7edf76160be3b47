"""Measured facts on disk, next to the teacher's outputs: a small file for each teacher, student and labelled data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
import xxhash

from kselect.distillation.teacher.cache import CacheFolder
from kselect.distillation.teacher.fingerprint import cache_key
from kselect.io import checksum, read_json, to_json, write_json
from kselect.logging import get_logger
from kselect.models.classifier import Classifier
from kselect.tasks.encoding import EncodedSplit
from kselect.tasks.task import Task

FORMAT = 2  # of the files, and of how facts are measured; part of the key


class FactStore:
    """Measured facts by content: all that they depend on is part of the name of the file.

    Attributes:
        path: The file, which need not exist.
    """

    def __init__(
        self,
        folder: CacheFolder,
        task: Task,
        models: Sequence[Classifier],
        splits: Sequence[EncodedSplit],
        dtype: torch.dtype,
    ) -> None:
        """Use the file for these models, read in `dtype`, and these examples and labels."""
        digest = xxhash.xxh3_128()
        digest.update(json.dumps([FORMAT, sklearn.__version__, task.labels, task.metrics]).encode())
        for model in models:
            digest.update(f"{model.head.name} {dict(model.head.sizes)}".encode())
            for name, tensor in model.head.state_dict().items():
                digest.update(f"{name} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
        for split in splits:
            digest.update(cache_key([model.model for model in models], dtype, split).encode())
            for labels in split.labels:
                digest.update(np.ascontiguousarray(labels).tobytes())
        self.path: Path = folder.facts / f"{digest.hexdigest()}.json"

    def load(self, names: Sequence[str]) -> dict[str, float | None] | None:
        """Return the facts of these names; None if they are not stored, or the file is damaged."""
        try:
            values = read_json(self.path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            values = None
        facts = values.get("facts") if isinstance(values, dict) else None
        is_ours = isinstance(facts, dict) and list(facts) == list(names) and all(map(_is_fact, facts.values()))
        if facts is not None and is_ours and values == _sealed(facts):
            return dict(facts)
        get_logger().warning("%s is damaged: the facts will be measured again.", self.path)
        return None

    def save(self, facts: dict[str, float | None]) -> None:
        """Write the facts."""
        write_json(self.path, _sealed(facts))


def _sealed(facts: dict[str, float | None]) -> dict[str, Any]:
    """Return facts with their checksum."""
    return {"facts": facts, "checksum": checksum({"facts": to_json(facts).encode()})}


def _is_fact(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
