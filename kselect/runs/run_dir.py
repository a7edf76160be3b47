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
from kselect.runs.curves import UNPLOTTED, EpisodeReport, RunCurves
from kselect.runs.metrics_file import METRICS
from kselect.runs.resume import RunPlace
from kselect.runs.trackers import Trackers

CHECKPOINT = "checkpoints/latest.safetensors"


class InUseError(KselectError):
    """Another process is writing the folder."""


class RunFolder:
    """Writes the files of one run; made by `create` or `open`, closed by `close` or by leaving its `with` block.

    Attributes:
        path: the folder; models, policies and checkpoints go below it.
        checkpoint: The state that a stopped run resumes from; removed once the run has results.
        resumed: Whether the folder existed, and its run is resumed.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], place: RunPlace, resumed: bool = False) -> None:
        self.path = path
        self.command = place.command
        self.config = dict(config)
        self.resumed = resumed
        self.checkpoint = Checkpoint(path / CHECKPOINT, config.get("checkpoint_every", 30.0), resume.identify(config))
        with io.writing(path):
            self.checkpoint.path.parent.mkdir(exist_ok=True)
        self._lock = _hold(path)
        named = {"agent": place.agent, "task": place.task}
        self._settings = {**self.config, **named, **({} if isinstance(place.seed, Sequence) else {"seed": place.seed})}
        self._curves: RunCurves | None = None
        self._trackers: Trackers | None = None
        self._last_step = 0

    @classmethod
    def create(cls, place: RunPlace, config: Mapping[str, Any]) -> RunFolder:
        """Make the folder and write config.yaml and environment.json into it.

        `kselect <command> --config <folder>/config.yaml` repeats the run into a new folder: the file holds
        every setting but `run_name`, which names this folder only, and `fresh`.
        """
        path, config = place.make(), _recorded(config)
        folder = cls(path, config, place)  # locked before config.yaml makes it look like an unfinished run
        heading = f"{RECORDED}{folder.repeat}\n"
        body = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, explicit_start=True, explicit_end=True)
        io.write_json(path / "environment.json", provenance.describe(place.seed, config.get("device", "auto")))
        io.write_text(path / "config.yaml", heading + body)
        folder.rewind(0)
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
        folder = cls(path, config, place, resumed=True)
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

    def rewind(self, records: int) -> None:
        """Return to the moment after so many phases: what was written later is dropped.

        TensorBoard's events are written anew from the lines of metrics.jsonl that remain, in place of earlier ones, so
        that no point is shown twice. What belongs to no line, such as `log_episode` wrote, has to be logged again.
        """
        metrics = self.path / METRICS
        lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)[:records] if metrics.exists() else []
        if lines:
            io.write_text(metrics, "".join(lines))
        else:
            metrics.unlink(missing_ok=True)
        self._close_logs()
        self._curves = RunCurves(self.path, self._settings)
        for line in lines:
            record = io.from_json(line)
            self._curves.phase(record)
            self._last_step = int(record["step"])
        self._trackers = Trackers(self.config.get("report_to", ()), self.path, self.config)

    @property
    def curves(self) -> RunCurves:
        """What TensorBoard shows of the run."""
        assert self._curves is not None, "a folder that is resumed has to be rewound first"
        return self._curves

    @property
    def trackers(self) -> Trackers:
        """The trackers that the run's numbers go to, next to TensorBoard."""
        assert self._trackers is not None, "a folder that is resumed has to be rewound first"
        return self._trackers

    def log_phase(self, record: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl and one TensorBoard scalar a tag.

        Args:
            record: See `phase_record`; "step" counts the training steps of all episodes so far. A tag whose value is
                None was not measured.
        """
        numbers = {tag: value for tag, value in record.items() if isinstance(value, int | float)}
        scalars = {tag: float(value) for tag, value in numbers.items() if tag not in UNPLOTTED}
        self._last_step = int(record["step"])
        metrics = self.path / METRICS
        with io.writing(metrics):
            metrics_file.append(metrics, record)
            self.curves.phase(record)
            self.trackers.log(scalars, self._last_step)

    def log_episode(self, report: EpisodeReport) -> None:
        """Show TensorBoard what there is to see of an episode that is over."""
        self.curves.episode(report)

    def log_run(
        self,
        name: str,
        settings: Mapping[str, Any],
        results: Mapping[str, Any],
        images: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Show TensorBoard a finished run of a study.

        Args:
            name: Of the run.
            settings: Where they differ from those of the study.
            results: Its "metrics", and where known "size" and the "history" of its phases.
            images: `[height, width, 3]` of uint8, by tag.
        """
        phases = [_drawn(phase) for phase in results.get("history", ())]
        self.curves.run(name, settings, _drawn_results(results), phases, images)

    def log_histograms(self, values: Mapping[str, NDArray[Any]], step: int) -> None:
        """Write TensorBoard histograms, one a tag, of values `[n]` seen up to a training step."""
        self.curves.main.histograms(values, step)

    def log_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write TensorBoard scalars by tag, without a line in metrics.jsonl; those that are no number are left out."""
        self.curves.main.scalars(values, step)
        self.trackers.log({tag: value for tag, value in values.items() if math.isfinite(value)}, step)

    def log_text(self, tag: str, markdown: str) -> None:
        """Write a page of Markdown for TensorBoard."""
        self.curves.main.text(tag, markdown)

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write results.json, which marks the run as finished, and drop its checkpoint.

        Its "metrics" (name to number) go to TensorBoard, with the number of the student's parameters.
        """
        self.curves.end(_drawn_results(results))
        metrics = results.get("metrics", {})
        self.trackers.log({f"result/{name}": float(value) for name, value in metrics.items()}, self._last_step)
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
        self._close_logs()
        self._lock.release()

    def _close_logs(self) -> None:
        for log in (self._curves, self._trackers):
            if log is not None:
                log.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _drawn_results(results: Mapping[str, Any]) -> dict[str, float]:
    """Return the results that TensorBoard shows, by name."""
    size = {"parameters": results["size"]["parameters"]["total"]} if "size" in results else {}
    return {**results.get("metrics", {}), **size}


def _drawn(phase: Mapping[str, Any]) -> dict[str, Any]:
    """Return what TensorBoard shows of a phase in the history of results: its selection and, if any, its reward."""
    weights = {f"selection/{name}": weight for name, weight in phase["weights"].items()}
    reward = {} if phase.get("reward") is None else {"reward/phase": phase["reward"]}
    return {"step": phase["step"], **(weights if len(weights) > 1 else {}), **reward}


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
