"""Which run folder a command resumes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from kselect import io
from kselect.config import KnowledgeConfig, ResourceConfig, RunConfig, names_with
from kselect.config.yaml_file import MALFORMED, Loader
from kselect.errors import KselectError

LOCK = "checkpoints/lock"
DIVERGED = "checkpoints/diverged"
LAST_GOOD = "checkpoints/last-good.safetensors"
FREE = names_with(KnowledgeConfig, ResourceConfig, RunConfig, may_differ_on_resume=True)


def is_empty(path: Path) -> bool:
    """Return whether a folder is free for a run: absent, empty, or left by one that was killed before it began."""
    if not path.exists():
        return True
    if not path.is_dir() or (path / "config.yaml").exists():
        return False
    begun = re.compile(rf"checkpoints|{LOCK}|environment\.json|\.(environment\.json|config\.yaml)\..*")
    return all(begun.fullmatch(str(other.relative_to(path))) for other in path.rglob("*"))


def can_resume(path: Path, config: Mapping[str, Any]) -> bool:
    """Return whether a named folder holds an unfinished run of these settings; False where it is empty."""
    ensure_available(path)
    if is_empty(path):
        return False
    changed = _differences(_config(path), config)
    if changed:
        raise KselectError(
            f"{path} holds an unfinished run of other settings: {'; '.join(changed)}. "
            "Give those, another run_name, or fresh to start over.",
            setting="run_name",
        )
    return True


def ensure_available(path: Path) -> None:
    """Refuse a named folder whose content no settings could resume."""
    if is_empty(path):
        return
    obstacle = _obstacle(path)
    if obstacle is not None:
        remove_leftovers(path)
        raise KselectError(f"{path} {obstacle}: give another run_name, or fresh to start over.", setting="run_name")


def ensure_same_settings(path: Path, config: Mapping[str, Any], except_for: Sequence[str]) -> None:
    """Refuse a run folder, finished or not, whose settings differ in more than those named in `except_for`."""
    if not (path / "config.yaml").exists():
        raise KselectError(f"{path} holds no run.")
    both = _config(path), yaml.safe_load(yaml.safe_dump(dict(config)))
    before, after = ({name: value for name, value in each.items() if name not in except_for} for each in both)
    changed = _differences(before, after)
    if changed:
        raise KselectError(f"{path} holds runs of other settings: {'; '.join(changed)}.")


def identify(config: Mapping[str, Any]) -> str:
    """Return what distinguishes runs: a checksum of all settings that a run must be resumed under."""
    fixed = {name: value for name, value in config.items() if name not in FREE}
    return io.checksum({"settings": yaml.safe_dump(fixed, sort_keys=True).encode()})


def find(runs_dir: Path, stem: str, config: Mapping[str, Any]) -> list[Path]:
    """Return the folders `<stem>-<time>` that hold an unfinished run of these settings, the newest first."""
    named = re.compile(re.escape(stem) + r"-\d{8}-\d{6}(-\d+)?")
    folders = sorted((path for path in runs_dir.glob(f"{stem}-*") if named.fullmatch(path.name)), reverse=True)
    for path in folders:
        remove_leftovers(path)
    return [path for path in folders if _obstacle(path) is None and not _differences(_config(path), config)]


def archive(path: Path) -> None:
    """Rename a run folder to `<name>.old-<number>`, which is never resumed."""
    if is_empty(path):
        return
    if not (path / "config.yaml").exists():
        raise KselectError(f"{path} is not a run folder and stays as it is: give another run_name.", setting="run_name")
    others = filter(is_archived, path.parent.glob(f"{path.name}.old-*"))
    taken = [int(other.name.rpartition("-")[2]) for other in others]
    path.rename(path.with_name(f"{path.name}.old-{max(taken, default=0) + 1}"))


def is_archived(path: Path) -> bool:
    """Return whether a folder has a name that `archive` gives."""
    return re.fullmatch(r".+\.old-\d+", path.name) is not None


def remove_leftovers(path: Path) -> None:
    """Remove the checkpoints of a run that has results, if it was killed before it had removed them all."""
    checkpoints = path / LOCK.partition("/")[0]
    if (path / "results.json").exists() and checkpoints.is_dir():
        shutil.rmtree(checkpoints, ignore_errors=True)


def _obstacle(path: Path) -> str | None:
    """Return why a folder that is not empty cannot be resumed; None if it can."""
    if (path / "results.json").exists():
        return "is not empty, its run is finished"
    if (path / DIVERGED).exists():
        return "is not empty, its run diverged"
    if not (path / "config.yaml").exists():
        return "is not empty, and holds no run"
    return None


def _config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise KselectError(
            f"{path / 'config.yaml'} cannot be read ({error.strerror}): check its permissions, or give another "
            "run_name.",
            setting="run_name",
        ) from None
    except MALFORMED:
        return {}  # not ours, and so unlike any settings
    return config if isinstance(config, dict) else {}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [name for name in dict.fromkeys((*then, *now)) if name not in FREE]
    unset = "not a setting"
    return [
        f"{name} was {then.get(name, unset)}, is {now.get(name, unset)}"
        for name in names
        if then.get(name, unset) != now.get(name, unset)
    ]


@dataclass(frozen=True)
class RunPlace:
    """Names of a run: its folder, and what the folder is named after.

    Attributes:
        runs_dir: folder of the run folders; made if need be.
        task: task's name, for the folder's name.
        agent: agent's name, or the folder of its policy.
        name: name of the folder; <task>-<agent>-<seed>-<time> by default.
    """

    runs_dir: Path
    task: str
    agent: str
    seed: int | Sequence[int]
    name: str | None = None
    command: str = "distill"

    @property
    def stem(self) -> str:
        """Default beginning of the folder's name."""
        seeds = self.seed if isinstance(self.seed, Sequence) else [self.seed]
        return "-".join((slug(self.task), slug(Path(self.agent).name), *map(str, seeds)))

    @property
    def named(self) -> Path | None:
        """The folder `name`, if it is given."""
        return None if self.name is None else self.runs_dir / self.name

    def make(self) -> Path:
        """Make the folder."""
        try:
            if self.named is None:
                return _make_new(self.runs_dir, f"{self.stem}-{datetime.now():%Y%m%d-%H%M%S}")
            self.named.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KselectError(
                f"The run folder cannot be made: {error}; give another runs_dir or run_name.", setting="runs_dir"
            ) from None
        if not is_empty(self.named):
            raise KselectError(
                f"{self.named} is not empty: give another run_name, or remove the folder.", setting="run_name"
            )
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
    raise KselectError(f"{runs_dir / name} exists a thousand times: give a run_name.", setting="run_name")


def slug(text: str) -> str:
    """Return a text as a name of a folder."""
    return re.sub(r"[^\w.]+", "-", text).strip("-") or "run"
