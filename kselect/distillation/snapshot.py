"""Snapshots: the complete state of training at one moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kselect.errors import KselectError, first_line
from kselect.io import checksum, replacing

FACTS = "facts"
FORMAT = "1"
"""Version of the file and of what it holds; a file of another version is refused."""


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

    def groups(self, *names: str) -> dict[str, dict[str, Tensor]]:
        """Return the tensors by what their names begin with, up to the first slash, and there by the rest.

        Raises:
            KeyError: a tensor of none of these groups.
        """
        found: dict[str, dict[str, Tensor]] = {name: {} for name in names}
        for name, tensor in self.tensors.items():
            group, _, rest = name.partition("/")
            found[group][rest] = tensor
        return found

    def save(self, path: str | Path, run: str = "") -> None:
        """Write one safetensors file atomically, with a checksum and what identifies its `run`."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        # Stored as a tensor, since a long history would exceed the size limit of metadata in the header.
        tensors[FACTS] = torch.frombuffer(bytearray(json.dumps(self.facts).encode()), dtype=torch.uint8)
        metadata = {"format": FORMAT, "run": run, "checksum": _checksum(tensors)}
        with replacing(Path(path)) as (partial,):
            try:
                save_file(tensors, partial, metadata)
            except SafetensorError as error:  # raised for a full disk, among others
                raise OSError(str(error)) from error

    @staticmethod
    def load(path: str | Path, run: str | None = None) -> Snapshot:
        """Read a file written by `save`, of a certain run if that is given.

        Raises:
            KselectError: the file is missing, damaged, not a snapshot, or one of another run or another version.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
            raise _refused(path, f"is damaged ({first_line(error)})") from error
        if FACTS not in tensors:
            raise _refused(path, "does not hold the state of a run")
        if metadata.get("format") != FORMAT:
            raise _refused(path, "was written by another version of kselect")
        if metadata.get("checksum") != _checksum(tensors):
            raise _refused(path, "is damaged (its content does not match its checksum)")
        if run is not None and metadata.get("run") != run:
            raise _refused(path, "is of a run with other settings or another seed")
        not_finite = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
        if not_finite:
            raise _refused(path, f"has numbers that are not finite ({not_finite[0]})")
        facts = json.loads(tensors.pop(FACTS).numpy().tobytes())
        return Snapshot(tensors, facts)


def _refused(path: str | Path, problem: str) -> KselectError:
    return KselectError(f"The checkpoint {path} {problem}: start over.", setting="fresh")


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Return the checksum of tensors with their names, types and shapes."""
    return checksum(
        {
            f"{name} {tensor.dtype} {list(tensor.shape)}": tensor.reshape(-1).view(torch.uint8).numpy()
            for name, tensor in tensors.items()
        }
    )


@contextmanager
def fitting(path: str | Path) -> Iterator[None]:
    """Report a snapshot from `path` that does not fit what it is restored to, in one line."""
    try:
        yield
    except KselectError as error:
        raise KselectError(f"{error} The checkpoint is {path}.", setting=error.setting) from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise _refused(path, f"does not fit this run ({reason})") from error
