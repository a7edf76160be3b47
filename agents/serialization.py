"""The files of a saved agent: agent.json describes it, agent.safetensors holds everything that it has learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from kselect.errors import KselectError
from kselect.io import replacing

DESCRIPTION = "agent.json"
LEARNED = "agent.safetensors"
FILES = (DESCRIPTION, LEARNED)


def write_agent(
    folder: Path, description: dict[str, Any], arrays: dict[str, NDArray[Any]], facts: dict[str, Any]
) -> None:
    """Write both files, each completely or not at all.

    Everything that changes during learning is in one file, so that a process killed at any moment leaves the old state
    or the new one, never a mixture.
    """
    if folder.exists() and not folder.is_dir():
        raise KselectError(f"{folder} is a file: give a folder to save the policy to.")
    text = json.dumps(description, indent=2) + "\n"
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # One entry: safetensors writes several in any order, and equal agents must be equal files.
    header = json.dumps({"description": description, "facts": facts})
    with replacing(folder / LEARNED, folder / DESCRIPTION) as (learned, described):
        learned.write_bytes(save(contiguous, {"agent": header}))
        described.write_text(text, encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """Read agent.json: class, settings and the shapes of the spaces."""
    path = folder / DESCRIPTION
    if not path.is_file():
        nested = folder / "policy"
        is_run = (nested / DESCRIPTION).is_file()
        advice = f"{nested}, which that run saved" if is_run else "a folder that an agent was saved to"
        raise KselectError(f"No trained policy in {folder}: {DESCRIPTION} is missing; give {advice}.")
    try:
        description: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise KselectError(f"{path} is not JSON ({error}): save the policy again.") from error
    missing = {"class", "settings", "context", "knowledge", "actions"} - set(description)
    if missing:
        raise KselectError(f"{path} lacks {', '.join(sorted(missing))}: save the policy again.")
    return description


def read_learned(folder: Path, description: dict[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays and facts that `write_agent` stored in agent.safetensors, and check them against agent.json."""
    path = folder / LEARNED
    if not path.is_file():
        raise KselectError(f"{path} is missing: copy the whole policy folder, or save the policy again.")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("agent", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise KselectError(f"{path} is damaged ({error}): save the policy again.") from error
    if header.get("description") != description:
        raise KselectError(f"{path} and {DESCRIPTION} are of two different agents: save the policy again.")
    return arrays, header["facts"]
