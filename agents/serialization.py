"""The files of a saved agent: agent.json describes it, agent.safetensors holds everything that it has learned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from kselect.errors import KselectError, first_line
from kselect.io import checksum, from_json, replacing

DESCRIPTION = "agent.json"
LEARNED = "agent.safetensors"
FILES = (DESCRIPTION, LEARNED)
FORMAT = 1
"""Version of agent.safetensors. Files without one, of before there were checksums, are read as they are."""
LARGEST = 10_000
"""Largest size of a part of an observation that is read; that of a damaged file could take all memory."""


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
    header = json.dumps(seal(contiguous, {"description": description, "facts": facts}))
    with replacing(folder / LEARNED, folder / DESCRIPTION) as (learned, described):
        learned.write_bytes(save(contiguous, {"agent": header}))
        described.write_text(text, encoding="utf-8")


def seal(arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> dict[str, Any]:
    """Return a header with the version of the format, and the checksum of all that it and the arrays hold."""
    return {**header, "format": FORMAT, "checksum": _checksum(arrays, header)}


def _checksum(arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> str:
    contents = {f"{name} {array.dtype} {list(array.shape)}": array for name, array in arrays.items()}
    return checksum({**contents, "": json.dumps(header, sort_keys=True).encode()})


def read_description(folder: Path) -> dict[str, Any]:
    """Read agent.json: class, settings and the shapes of the spaces."""
    path = folder / DESCRIPTION
    if not path.is_file():
        nested = folder / "policy"
        is_run = (nested / DESCRIPTION).is_file()
        advice = f"{nested}, which that run saved" if is_run else "a folder that an agent was saved to"
        raise KselectError(f"No trained policy in {folder}: {DESCRIPTION} is missing; give {advice}.")
    try:
        description = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KselectError(f"{path} is not JSON ({error}): save the policy again.") from error
    if not isinstance(description, dict):
        raise KselectError(f"{path} does not describe an agent: save the policy again.")
    missing = {"class", "settings", "context", "knowledge", "actions"} - set(description)
    if missing:
        raise KselectError(f"{path} lacks {', '.join(sorted(missing))}: save the policy again.")
    wrong = [name for name, is_valid in ENTRIES.items() if name in description and not is_valid(description[name])]
    if wrong:
        raise KselectError(f"{path} has no valid {', '.join(wrong)}: save the policy again.")
    return description


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST


ENTRIES: dict[str, Callable[[Any], bool]] = {
    "class": lambda value: isinstance(value, str),
    "settings": lambda value: isinstance(value, dict),
    "context": _is_size,
    "knowledge": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_size, value)),
    "further": lambda value: isinstance(value, dict) and all(map(_is_size, value.values())),
    "actions": lambda value: value in ("hard", "soft"),
    "names": lambda value: value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value)),
}
"""Whether the value of each entry of agent.json is valid."""


def read_learned(folder: Path, description: dict[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays and facts that `write_agent` stored in agent.safetensors, and check them against agent.json."""
    path = folder / LEARNED
    if not path.is_file():
        raise KselectError(f"{path} is missing: copy the whole policy folder, or save the policy again.")
    try:
        with safe_open(path, framework="numpy") as file:
            header = from_json((file.metadata() or {}).get("agent", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:  # some types NumPy has not
        raise KselectError(f"{path} is damaged ({first_line(error)}): save the policy again.") from error
    if not isinstance(header, dict):
        raise KselectError(f"{path} is damaged (it has no header of ours): save the policy again.")
    version, expected = header.pop("format", None), header.pop("checksum", None)
    if (version, expected) != (None, None):
        if version != FORMAT:
            raise KselectError(f"{path} was written by another version of kselect: save the policy again.")
        if expected != _checksum(arrays, header):
            raise KselectError(f"{path} is damaged (its content does not match its checksum): save the policy again.")
    if header.get("description") != description:
        raise KselectError(f"{path} and {DESCRIPTION} are of two different agents: save the policy again.")
    not_finite = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if not_finite:
        raise KselectError(f"{path} has numbers that are not finite ({not_finite[0]}): train the policy again.")
    return arrays, header.get("facts", {})


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Report what does not fit in the files of an agent, whose classes restore the state themselves, in one line."""
    try:
        yield
    except KselectError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise KselectError(
            f"{folder / LEARNED} does not fit the agent that {DESCRIPTION} describes ({reason}): save the policy again."
        ) from error
