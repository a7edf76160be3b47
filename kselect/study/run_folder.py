"""A run folder: everything one command produced, enough to explain it and to repeat it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from kselect.errors import UserError
from kselect.study import atomic, environment
from kselect.study.event_log import EventLog


class RunFolder:
    """Writes the files of one run; made by `create`, closed by `close` or by leaving its `with` block.

    Attributes:
        path: the folder; models, policies and checkpoints go below it.
        config: every setting of the run, by name.
        command: the command that the settings belong to.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], command: str) -> None:
        self.path = path
        self.command = command
        self.config = dict(config)
        self._events = EventLog(path)
        self._last_step = 0

    @classmethod
    def create(
        cls,
        runs_dir: str | Path,
        task: str,
        agent: str,
        seed: int,
        config: Mapping[str, Any],
        name: str | None = None,
        command: str = "distill",
    ) -> RunFolder:
        """Make the folder and write config.yaml and environment.json into it.

        `kselect <command> --config <folder>/config.yaml` repeats the run into a new folder: the file holds
        every setting but `run_name`, which names this folder only.

        Args:
            runs_dir: folder of the run folders; made if need be.
            task: task's name, for the folder's name.
            agent: agent's name, or the folder of its policy.
            seed: seed of the run.
            config: every setting by name, such as `kselect.cli.command.flatten` returns.
            name: name of the folder; <task>-<agent>-<seed>-<time> by default.
            command: the command that the settings belong to.

        Raises:
            UserError: a folder of that name holds something already, or the folder cannot be made.
        """
        path = _make(Path(runs_dir), name, "-".join((_slug(task), _slug(Path(agent).name), str(seed))))
        config = {key: value for key, value in config.items() if key != "run_name"}
        heading = f"# Repeat this run: kselect {command} --config {path / 'config.yaml'}\n"
        body = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        atomic.write_text(path / "config.yaml", heading + body)
        atomic.write_json(path / "environment.json", environment.describe(seed))
        return cls(path, config, command)

    def log_phase(self, record: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl and one TensorBoard scalar a tag.

        Args:
            record: "step" (training steps so far), "phase" (its number) and numbers by tag: loss/<knowledge>,
                selection/<knowledge>, reward/<what>, cost/<part>. A tag whose value is None was not measured.
        """
        self._last_step = int(record["step"])
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(atomic.to_json(record) + "\n")
        scalars = {t: float(v) for t, v in record.items() if t not in ("step", "phase") and v is not None}
        self._events.scalars(scalars, self._last_step)

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write results.json; its "metrics" (name to number) go to TensorBoard, beside the settings."""
        atomic.write_json(self.path / "results.json", dict(results))
        self._events.outcome(self.config, results.get("metrics", {}), self._last_step)

    def write_card(self, text: str) -> None:
        """Write README.md, the model card."""
        atomic.write_text(self.path / "README.md", text)

    def close(self) -> None:
        """Write what is pending; the folder is complete."""
        self._events.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make(runs_dir: Path, name: str | None, stem: str) -> Path:
    try:
        if name is None:
            return _make_new(runs_dir, f"{stem}-{datetime.now():%Y%m%d-%H%M%S}")
        path = runs_dir / name
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The run folder cannot be made: {error}; give another --runs_dir or --run_name.") from None
    if any(path.iterdir()):
        raise UserError(f"{path} is not empty: give another --run_name, or remove the folder.")
    return path


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
