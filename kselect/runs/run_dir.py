"""A run folder: everything one command produced, enough to explain it and to repeat it."""

from __future__ import annotations

import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from kselect import io
from kselect.config.yaml_file import RECORDED
from kselect.distillation.snapshot import Snapshot
from kselect.errors import KselectError
from kselect.runs import metrics_file, provenance, resume
from kselect.runs.checkpoint import Checkpoint
from kselect.runs.resume import RunPlace
from kselect.runs.tensorboard import EventLog
from kselect.runs.trackers import Trackers

CHECKPOINT = "checkpoints/latest.safetensors"
METRICS = "metrics.jsonl"
UNPLOTTED = ("step", "phase", "episode", "task", "reward_measure", "reward_unit")


class InUseError(KselectError):
    """Another process is writing the folder."""


class RunFolder:
    """Writes the files of one run; made by `create` or `open`, closed by `close` or by leaving its `with` block.

    Attributes:
        path: the folder; models, policies and checkpoints go below it.
        checkpoint: The state that a stopped run resumes from; removed once the run has results.
        resumed: Whether the folder existed, and its run is resumed.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], command: str, resumed: bool = False) -> None:
        self.path = path
        self.command = command
        self.config = dict(config)
        self.resumed = resumed
        self.checkpoint = Checkpoint(path / CHECKPOINT, config.get("checkpoint_every", 30.0), resume.identify(config))
        with io.writing(path):
            self.checkpoint.path.parent.mkdir(exist_ok=True)
        self._lock = _hold(path)
        self._events: EventLog | None = None
        self._trackers: Trackers | None = None
        self._last_step = 0

    @classmethod
    def create(cls, place: RunPlace, config: Mapping[str, Any]) -> RunFolder:
        """Make the folder and write config.yaml and environment.json into it.

        `kselect <command> --config <folder>/config.yaml` repeats the run into a new folder: the file holds
        every setting but `run_name`, which names this folder only, and `fresh`.
        """
        path, config = place.make(), _recorded(config)
        folder = cls(path, config, place.command)  # locked before config.yaml makes it look like an unfinished run
        heading = f"{RECORDED}{folder.repeat}\n"
        body = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, explicit_start=True, explicit_end=True)
        io.write_json(path / "environment.json", provenance.describe(place.seed, config.get("device", "auto")))
        io.write_text(path / "config.yaml", heading + body)
        folder.rewind(0, 0)
        return folder

    @property
    def repeat(self) -> str:
        """The command line that repeats the run into a new folder."""
        return f"kselect {self.command} --config {shlex.quote(str(self.path / 'config.yaml'))}"

    @property
    def resume_command(self) -> str:
        """The command line that resumes the run where it was stopped."""
        return f"{self.repeat} --run_name {shlex.quote(self.path.name)}"

    @classmethod
    def open(cls, place: RunPlace, config: Mapping[str, Any], fresh: bool = False) -> RunFolder:
        """Resume the folder that a run of the same settings left unfinished, or `create` one.

        That is the folder of the place's name or, without a name, the newest <task>-<agent>-<seed>-<time>. With
        `fresh` a folder in the way is archived first. Call `rewind` on a folder that is `resumed`.
        """
        recorded = yaml.safe_load(yaml.safe_dump(_recorded(config)))
        if place.named is not None:
            if fresh:
                _archive(place.named)
            elif resume.can_resume(place.named, recorded):
                return cls._reopen(place.named, recorded, place)
        else:
            for path in resume.find(place.runs_dir, place.stem, recorded):
                with suppress(InUseError):  # a run that is under way is not unfinished
                    if not fresh:
                        return cls._reopen(path, recorded, place)
                    _archive(path)
        return cls.create(place, config)

    @classmethod
    def _reopen(cls, path: Path, config: Mapping[str, Any], place: RunPlace) -> RunFolder:
        folder = cls(path, config, place.command, resumed=True)
        then = provenance.read(path / "environment.json")
        now = provenance.describe(place.seed, config.get("device", "auto"))
        earlier = then.pop("earlier", [])
        if then != now:
            io.write_json(path / "environment.json", {**now, "earlier": [*earlier, then]})
        return folder

    def restore_metrics(self, phases: Sequence[Mapping[str, Any]]) -> int:
        """Write lines of metrics.jsonl anew where they are missing or damaged, as after a power cut.

        Args:
            phases: the records of all phases so far, in order, as for `log_phase`.

        Returns:
            How many lines were written anew.
        """
        return metrics_file.restore(self.path / METRICS, phases)

    def rewind(self, records: int, step: int) -> None:
        """Return to the moment after so many phases and training steps: what was written later is dropped."""
        metrics = self.path / METRICS
        if records == 0:
            for path in (metrics, *self.path.glob("events.out.*")):
                path.unlink(missing_ok=True)
        elif metrics.exists():
            lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            io.write_text(metrics, "".join(lines[:records]))
        self._last_step = step
        self._events = EventLog(self.path, step + 1 if records else None)
        self._trackers = Trackers(self.config.get("report_to", ()), self.path, self.config)

    def log_phase(self, record: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl and one TensorBoard scalar a tag.

        Args:
            record: "step" (training steps so far), "phase" (its number), where there are several "episode" and "task",
                the names "reward_measure" and "reward_unit", and numbers by tag: loss/<knowledge>,
                selection/<knowledge>, reward/<what>, cost/<part>. A tag whose value is None was not measured.
        """
        self._last_step = int(record["step"])
        metrics = self.path / METRICS
        scalars = {tag: float(value) for tag, value in record.items() if tag not in UNPLOTTED and value is not None}
        with io.writing(metrics):
            metrics_file.append(metrics, record)
            self._scalars(scalars, self._last_step)

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        assert self._events is not None
        assert self._trackers is not None
        self._events.scalars(values, step)
        self._trackers.log(values, step)

    def log_histograms(self, values: Mapping[str, NDArray[Any]], step: int) -> None:
        """Write TensorBoard histograms, one a tag, of values `[n]` seen up to a training step."""
        assert self._events is not None
        self._events.histograms(values, step)

    def log_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write TensorBoard scalars by tag, without a line in metrics.jsonl; those that are no number are left out."""
        self._scalars({tag: value for tag, value in values.items() if math.isfinite(value)}, step)

    def log_text(self, tag: str, markdown: str) -> None:
        """Write a page of Markdown for TensorBoard."""
        assert self._events is not None
        self._events.text(tag, markdown)

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write results.json, which marks the run as finished, and drop its checkpoint.

        Its "metrics" (name to number) go to TensorBoard, next to the settings.
        """
        assert self._events is not None
        assert self._trackers is not None
        metrics = results.get("metrics", {})
        self._events.outcome(self.config, metrics, self._last_step)
        self._trackers.log({f"result/{name}": float(value) for name, value in metrics.items()}, self._last_step)
        io.write_json(self.path / "results.json", dict(results))
        shutil.rmtree(self.checkpoint.path.parent, ignore_errors=True)

    def write_diverged(self, message: str, last_good: Snapshot | None) -> str:
        """Mark the run as diverged, save the last good state if there is one, and remove the checkpoint.

        Returns the message, with where that state is.
        """
        io.write_text(self.path / resume.DIVERGED, message + "\n")
        path = self.path / resume.LAST_GOOD
        if last_good is not None:
            last_good.save(path, self.checkpoint.run)
        self.checkpoint.drop()
        return message if last_good is None else f"{message} The last good state is saved in {path}."

    def write_card(self, text: str, model: str) -> None:
        """Write README.md, the model card, into the folder of a model of the run."""
        io.write_text(self.path / model / "README.md", text)

    def close(self) -> None:
        """Write what is pending, and release the folder."""
        if self._events is not None:
            self._events.close()
        if self._trackers is not None:
            self._trackers.close()
        self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _hold(path: Path) -> FileLock:
    """Lock a run folder against other processes until the lock is released, or this process ends."""
    lock = FileLock(path / resume.LOCK)
    with io.writing(Path(lock.lock_file)):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            message = f"{path} is being written by another process: give another run_name."
            raise InUseError(message, setting="run_name") from None
    return lock


def _archive(path: Path) -> None:
    if (path / resume.LOCK).exists():
        _hold(path).release()
    resume.archive(path)


def _recorded(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ("run_name", "fresh")}
