"""Where a run goes: the name of its folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kselect.errors import UserError
from kselect.study import unfinished


@dataclass(frozen=True)
class RunPlace:
    """What names a run.

    Attributes:
        runs_dir: folder of the run folders; made if need be.
        task: task's name, for the folder's name.
        agent: agent's name, or the folder of its policy.
        seed: seed of the run; of several that are compared, all.
        name: name of the folder; <task>-<agent>-<seed>-<time> by default.
        command: the command that the run's settings belong to.
    """

    runs_dir: Path
    task: str
    agent: str
    seed: int | Sequence[int]
    name: str | None = None
    command: str = "distill"

    @property
    def stem(self) -> str:
        """What a name by default begins with."""
        seeds = self.seed if isinstance(self.seed, Sequence) else [self.seed]
        return "-".join((_slug(self.task), _slug(Path(self.agent).name), *map(str, seeds)))

    @property
    def named(self) -> Path | None:
        """The folder of the name that was given."""
        return None if self.name is None else self.runs_dir / self.name

    def make(self) -> Path:
        """Make the folder.

        Raises:
            UserError: one of that name holds something already, or it cannot be made.
        """
        try:
            if self.named is None:
                return _make_new(self.runs_dir, f"{self.stem}-{datetime.now():%Y%m%d-%H%M%S}")
            self.named.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"The run folder cannot be made: {error}; give another --runs_dir or --run_name.") from None
        if not unfinished.is_blank(self.named):
            raise UserError(f"{self.named} is not empty: give another --run_name, or remove the folder.")
        return self.named


def _make_new(runs_dir: Path, name: str) -> Path:
    """Make a folder that was not there, numbered where runs start within the same second."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = runs_dir / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UserError(f"{runs_dir / name} exists a thousand times over: give --run_name.")


def _slug(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-") or "run"
