"""Snapshots: the complete state of training at one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kselect.errors import KselectError
from kselect.io import replacing

FACTS = "facts"


@dataclass(frozen=True)
class Snapshot:
    """A state of training that can be restored exactly.

    Attributes:
        tensors: `trained/<parameter>` (`trained/student.<...>` for the student's), `optimizer/<moment>/<parameter>` and
            `random/<device>`.
        facts: everything else, as JSON values.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write one safetensors file atomically."""
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        # Stored as a tensor, since a long history would exceed the size limit of metadata in the header.
        facts = torch.frombuffer(bytearray(json.dumps(self.facts).encode()), dtype=torch.uint8)
        with replacing(Path(path)) as (partial,):
            try:
                save_file({**tensors, FACTS: facts}, partial)
            except SafetensorError as error:  # raised for a full disk, among others
                raise OSError(str(error)) from error

    @staticmethod
    def load(path: str | Path) -> Snapshot:
        """Read a file written by `save`.

        Raises:
            KselectError: the file is missing, damaged, or not a snapshot.
        """
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            facts = json.loads(tensors.pop(FACTS).numpy().tobytes())
        except KeyError as error:
            raise KselectError(
                f"The checkpoint {path} does not hold the state of a run: start over.", setting="fresh"
            ) from error
        except (OSError, SafetensorError, ValueError, RecursionError) as error:
            raise KselectError(f"The checkpoint {path} is damaged ({error}): start over.", setting="fresh") from error
        if not isinstance(facts, dict):
            raise KselectError(f"The checkpoint {path} is damaged (no JSON object): start over.", setting="fresh")
        return Snapshot(tensors, facts)
