"""Everything that training depends on, at one moment."""

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
    """A state to return to, bit by bit: tensors by name, and facts that JSON can hold.

    Tensors are `trained/<parameter>` (`trained/student.<...>` for the student's), `optimizer/<moment>/<parameter>` and
    `random/<device>`.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; a kill at any moment leaves the old one or the new one.

        Raises:
            KselectError: it cannot be written.
        """
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        # As a tensor, since the header where metadata go has a limit that a long history would reach.
        facts = torch.frombuffer(bytearray(json.dumps(self.facts).encode()), dtype=torch.uint8)
        with replacing(Path(path)) as (partial,):
            try:
                save_file({**tensors, FACTS: facts}, partial)
            except SafetensorError as error:  # as which the library tells of a full disk
                raise OSError(str(error)) from error

    @staticmethod
    def load(path: str | Path) -> Snapshot:
        """Read what `save` wrote.

        Raises:
            KselectError: nothing there, not whole, or not a snapshot.
        """
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            facts = json.loads(tensors.pop(FACTS).numpy().tobytes())
            return Snapshot(tensors, facts)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            what = "holds no state of a run" if isinstance(error, KeyError) else f"is damaged ({error})"
            raise KselectError(f"The checkpoint {path} {what}: give --fresh to start over.") from error
