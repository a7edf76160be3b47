"""The environment of a run: what is needed to explain a number that cannot be reproduced."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import torch
import transformers

import kselect
from kselect import io
from kselect.launcher import process_count
from kselect.logging import get_logger


def describe(seed: int | Sequence[int], device: str = "auto") -> dict[str, Any]:
    """Return versions, device, processes, threads, platform, seed or seeds and, in a checkout of kselect, its commit.

    Args:
        seed: of the run.
        device: as `kselect.distillation.device.find_device` takes it.
    """
    return {
        "python": platform.python_version(),
        "kselect": kselect.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "gymnasium": gymnasium.__version__,
        "device": _device(device),
        "processes": process_count(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "seed": seed,
        **_commit(),
    }


def _device(name: str) -> str:
    if name.startswith("cuda") or (name == "auto" and torch.cuda.is_available()):
        return torch.cuda.get_device_name(None if name in ("auto", "cuda") else torch.device(name))
    return "cpu" if name == "auto" else name


def read(path: Path) -> dict[str, Any]:
    """Read environment.json; where it is damaged, which no later run depends on, that is what it says."""
    try:
        environment = io.read_json(path)
        if isinstance(environment, dict) and isinstance(environment.get("earlier", []), list):
            return environment
        problem = "it is no description of an environment"
    except (OSError, ValueError) as error:
        problem = str(error)
    get_logger().warning("%s is damaged and is written anew: %s.", path, problem)
    return {"damaged": problem}


def _commit() -> dict[str, Any]:
    """The commit of the checkout that this package is read from, and how many files differ from it."""
    root = Path(kselect.__file__).resolve().parent.parent
    # A package installed below somebody else's checkout must not report that one's commit.
    if not (root / ".git").exists():
        return {"commit": None}
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "changed_files": len(_git(root, "status", "--porcelain").splitlines())}
    except (OSError, subprocess.CalledProcessError):  # no git here, or no commit yet
        return {"commit": None}


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()
