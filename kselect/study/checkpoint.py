"""The file that a stopped run goes on from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kselect.distillation.snapshot import Snapshot
from kselect.errors import UserError

COST = 0.01
FACTS = "facts"


class Checkpoint:
    """One file, replaced now and then by a newer state; a kill at any moment leaves the old one or the new one."""

    def __init__(self, path: Path, every: float = 30.0) -> None:
        """Keep a state at `path`, at most once in `every` seconds; 0 is whenever asked.

        Where writing is so slow that it would cost more than 1 % of the time, it is done more rarely than that.
        """
        self.path = path
        self.every = every
        self._saved = time.monotonic()
        self._cost = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time for a new one."""
        return time.monotonic() - self._saved >= (max(self.every, self._cost / COST) if self.every else 0.0)

    def save(self, take: Callable[[], Snapshot]) -> None:
        """Write the snapshot that `take` returns.

        Raises:
            UserError: it cannot be written.
        """
        start = time.monotonic()
        snapshot = take()
        self.path.parent.mkdir(exist_ok=True)
        partial = self.path.with_name(f".{self.path.name}")  # of one fixed name: what a kill leaves is written over
        tensors = {name: tensor.contiguous() for name, tensor in snapshot.tensors.items()}
        # As a tensor, since the header where metadata go has a limit that a long history would reach.
        facts = torch.frombuffer(bytearray(json.dumps(snapshot.facts).encode()), dtype=torch.uint8)
        try:
            save_file({**tensors, FACTS: facts}, partial)
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())  # or, after a power cut, the new name could stand for an empty file
            os.replace(partial, self.path)
        except (OSError, SafetensorError) as error:
            raise UserError(f"The checkpoint {self.path} cannot be written: {error}.") from error
        self._saved = time.monotonic()
        self._cost = self._saved - start

    def drop(self) -> None:
        """Remove what was kept: there is nothing to go on from."""
        self.path.unlink(missing_ok=True)

    def load(self) -> Snapshot | None:
        """Return the state that was kept last; None where there is none yet.

        Raises:
            UserError: the file is damaged, or is not a checkpoint.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            facts = json.loads(tensors.pop(FACTS).numpy().tobytes())
            return Snapshot(tensors, facts)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            what = "holds no state of a run" if isinstance(error, KeyError) else f"is damaged ({error})"
            raise UserError(f"The checkpoint {self.path} {what}: give --fresh to start over.") from error
