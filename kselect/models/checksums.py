"""Checksums of a saved model, next to it: without them, weights that a bad disk has set to zero would be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kselect.errors import KselectError
from kselect.io import file_checksum, from_json

FILE = "checksums.json"
FORMAT = 1
"""Version of the file."""


def save_checksums(folder: Path) -> None:
    """Write the checksums of the files in the folder of a model that nobody edits: numbers, and the head's facts."""
    sums = {path.name: file_checksum(path) for path in sorted(folder.iterdir()) if _is_covered(path)}
    content = {"format": FORMAT, "files": sums}
    (folder / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def check_checksums(folder: Path) -> None:
    """Refuse a model whose files are not those that it was saved with; one without checksums passes.

    Raises:
        KselectError: a file is missing or was changed, or the checksums cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return
    try:
        content = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KselectError(f"{path} cannot be read ({error}): restore it, or save the model again.") from error
    if not _is_valid(content):
        raise KselectError(f"{path} has no checksums that this version of kselect reads: save the model again.")
    for name, expected in content["files"].items():
        if not (folder / name).is_file():
            raise KselectError(f"{folder / name} is missing: copy the whole folder of the model.")
        if file_checksum(folder / name) != expected:
            raise KselectError(
                f"{folder / name} is damaged, or not the file that was saved: restore it, or remove {FILE} if it was "
                "replaced on purpose."
            )


def _is_covered(path: Path) -> bool:
    return path.suffix in (".safetensors", ".npy") or path.name == "head.json"


def _is_valid(content: Any) -> bool:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return False
    files = content.get("files")
    return isinstance(files, dict) and all(
        isinstance(value, str) and Path(name).name == name and _is_covered(Path(name)) for name, value in files.items()
    )
