"""Everything that training depends on, at one moment."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kselect.errors import UserError


@dataclass(frozen=True)
class Snapshot:
    """A state to return to, bit by bit: tensors by name, and facts that JSON can hold.

    Tensors are `trained/<parameter>` (`trained/student.<...>` for the student's), `optimizer/<moment>/<parameter>` and
    `random/<device>`.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def save(self, folder: str | Path) -> None:
        """Write the snapshot as `folder`, replacing one that is there only once the new one is whole."""
        target = Path(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, partial / "tensors.safetensors")
        (partial / "facts.json").write_text(json.dumps(self.facts, indent=1))
        partial.chmod(0o755)
        former = partial.with_name(partial.name + "-former")
        if target.exists():
            os.replace(target, former)
        os.replace(partial, target)
        shutil.rmtree(former, ignore_errors=True)

    @staticmethod
    def load(folder: str | Path) -> Snapshot:
        """Read what `save` wrote.

        Raises:
            UserError: nothing there, or not whole.
        """
        folder = Path(folder)
        try:
            facts = json.loads((folder / "facts.json").read_text())
            return Snapshot(load_file(folder / "tensors.safetensors"), facts)
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(f"No whole snapshot in {folder}: {error}. Start the run anew.") from error
