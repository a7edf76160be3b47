"""A training run of a command: its settings in full, its folder, its progress, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from kselect.cli.console import Progress, notice
from kselect.cli.notices import say_default_depth, warn_of_head, warn_of_lengths
from kselect.cli.signals import SIGNALS, Interruption
from kselect.config import (
    CompareSettings,
    DistillSettings,
    DoctorSettings,
    EnvSettings,
    ExplainSettings,
    StudentConfig,
    TrainPolicySettings,
    TrainTeacherSettings,
)
from kselect.distillation.builders import make_models
from kselect.distillation.compatibility import with_other_tokens
from kselect.distillation.distiller import Distiller
from kselect.distillation.divergence import TrainingDivergedError
from kselect.distillation.snapshot import fitting
from kselect.errors import IncomparableError, KselectError
from kselect.models.classifier import Classifier
from kselect.recipes.compatibility import check_served
from kselect.runs.model_card import model_card
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.tasks.description import describe_data
from kselect.tasks.registry import resolve_paths
from kselect.tasks.task import Task
from kselect.tasks.words.tagging_task import TaggingTask
from kselect.training.episode import Episode, OnEpisode, OnPhase
from kselect.training.reports import report_episode
from kselect.training.results import describe_selection, phase_record
from kselect.training.runner import EpisodeRunner
from kselect.training.workers import WorkerDiedError

if TYPE_CHECKING:
    from kselect.analysis.recording.writer import RunRecording


S = TypeVar(
    "S",
    TrainTeacherSettings,
    EnvSettings,
    DistillSettings,
    TrainPolicySettings,
    CompareSettings,
    DoctorSettings,
    ExplainSettings,
)
T = TypeVar("T", TrainTeacherSettings, DistillSettings, TrainPolicySettings)


def build_distiller(settings: DistillSettings | TrainPolicySettings, task: Task[Any] | None = None) -> Distiller:
    """Build the distiller that a command's settings describe; `task` is their task, if it is loaded already."""
    models = make_models(settings.task, settings.model, settings.run.seed, task)
    try:
        distiller = models.distiller(settings.training, settings.knowledge, settings.task.max_length)
    except IncomparableError:
        other_tokens = with_other_tokens(models.student, models.teachers, models.task)
        check_served(settings.agent, models.student, models.answering, models.task.is_labelled, other_tokens)
        raise
    if task is None:  # a further task, of which nothing has been said
        notice(describe_data(models.task))
    say_default_depth(settings.model, models)
    warn_of_head(models)
    warn_of_lengths(distiller)
    return distiller


def resolve(settings: S, distiller: Distiller) -> S:
    """Return settings that repeat the run on their own, with the choices of the machine and the models filled in."""
    known, student = settings.hints(), distiller.student
    changes: dict[str, Any] = {
        "precision": "bf16" if distiller.dtype == torch.bfloat16 else "fp32",
        "max_length": distiller.max_length,
    }
    if "knowledge" in known:
        changes["knowledge"] = list(distiller.kinds)
    if student.labels is not None:
        changes["head"] = student.head.name
    return resolve_task(settings, distiller.task).replace(**changes)


def resolve_task(settings: S, task: Task) -> S:
    """Return settings with the choices of the task and its data filled in."""
    config = resolve_paths(settings.task)
    changes: dict[str, Any] = {**vars(config), "task": task.name}
    if isinstance(settings.model, StudentConfig):
        changes["layers"] = settings.model.kept_layers
    if isinstance(task, TaggingTask):
        changes |= {"scheme": task.tag_set.scheme, "file_scheme": task.file_scheme}
    if not config.own:
        changes["data_dir"] = config.data_dir or os.environ.get("KSELECT_DATA")
    return settings.replace(**changes)


def open_folder(settings: T, distiller: Distiller, agent: str, command: str, task: str | None = None) -> RunFolder:
    """Open the run folder of a command."""
    run = settings.run
    place = RunPlace(Path(run.runs_dir), task or distiller.task.name, agent, run.seed, run.run_name, command)
    return RunFolder.open(place, resolve(settings, distiller).to_dict(), run.fresh)


def save_model(folder: RunFolder, results: Mapping[str, Any], classifier: Classifier, name: str) -> None:
    """Write the trained model, its card and its results."""
    classifier.save_pretrained(folder.path / name)
    folder.write_card(model_card(results, folder.repeat, str(folder.path / name)), name)
    folder.write_results(results)


@contextmanager
def leading(distiller: Distiller) -> Iterator[None]:
    """Lead the other processes of a run, where there are some, within the context; they end instead of entering it."""
    if distiller.processes.leads:
        with distiller.processes:
            yield
        return
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the first process finishes the phase, and needs the others for it
    distiller.follow()
    raise SystemExit(0)


@contextmanager
def recorded(
    folder: RunFolder,
    runner: EpisodeRunner,
    title: str,
    tasks: Sequence[Task],
    recording: RunRecording | None = None,
) -> Iterator[tuple[OnPhase, OnEpisode]]:
    """Resume a stopped run, and yield functions that log each phase and episode, and show progress.

    Raises:
        KselectError: training diverged; the last good state, where there is one, is saved in the run folder.
        WorkerDiedError: a process that runs an episode died; a checkpoint is saved in the run folder.
        KeyboardInterrupt: Ctrl-C or SIGTERM, with how to resume; a checkpoint is saved in the run folder.
    """
    with folder:
        step, total = _resume(folder, runner, recording), runner.total_steps
        units = {task.name: task.loss_unit for task in tasks}
        with Progress(total, title, done=step) as progress, Interruption() as interruption:
            for distiller in runner.distillers:  # none if the teachers are in other processes
                distiller.watch_teacher(progress.part(f"Teacher's outputs on {distiller.task.name}"))

            def on_phase(record: dict[str, Any]) -> None:
                nonlocal step
                step += record["steps"]
                metrics = {} if recording is None else recording.save_phase(step)
                folder.log_phase({**phase_record(record, runner.spent), **metrics, "step": step})
                facts = {"selected": describe_selection(record["weights"])}
                if "reward_loss" in record:
                    unit = units[record.get("task", tasks[0].name)]
                    facts["loss on reward"] = f"{record['reward_loss']:.3f} {unit}"
                is_stopping = interruption.reached_end_of_phase()
                if is_stopping or (folder.checkpoint.due and runner.snapshot_steps > runner.saved_steps):
                    runner.save(folder.checkpoint)
                if is_stopping:
                    raise KeyboardInterrupt
                progress.advance(record["steps"], **facts)

            def on_episode(episode: Episode) -> None:
                folder.log_episode(report_episode(episode))

            try:
                try:
                    yield on_phase, on_episode
                except WorkerDiedError:
                    runner.save(folder.checkpoint)
                    if not interruption.requested:
                        raise
                    raise KeyboardInterrupt from None  # the signal went to every process
            except TrainingDivergedError as error:
                raise KselectError(folder.write_diverged(str(error), runner.last_good())) from error
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"at step {runner.saved_steps} of {total}; to resume, give the same command again, or "
                    f"{folder.resume_command}"
                ) from None


def _resume(folder: RunFolder, runner: EpisodeRunner, recording: RunRecording | None) -> int:
    """Restore the runner from the folder's checkpoint, where there is one; returns the training steps done."""
    if not folder.resumed:
        return 0
    snapshot = folder.checkpoint.load()
    if snapshot is None:
        notice(f"Starting {folder.path} over: it was stopped before its first checkpoint.")
    else:
        with fitting(folder.checkpoint.path):
            runner.restore(snapshot)
        if anew := folder.restore_metrics(_metrics(runner)):
            notice(
                f"{folder.path / 'metrics.jsonl'} lacks {anew} of the checkpoint's {len(runner.records)} phases: they "
                "are written anew, without the shares of cost."
            )
    steps = list(accumulate(record["steps"] for record in runner.records))
    step = steps[-1] if steps else 0
    folder.rewind(len(steps))
    for episode in runner.episodes:
        folder.log_episode(report_episode(episode))
    if recording is not None:
        recording.resume(steps)
    if snapshot is not None:
        notice(f"Resuming {folder.path} after {step} of {runner.total_steps} training steps.")
    return step


def _metrics(runner: EpisodeRunner) -> list[dict[str, Any]]:
    """Return the records of a restored run as metrics.jsonl has them: of parallel episodes, phase by phase."""
    records = sorted(
        runner.records,
        key=lambda record: (record.get("episode", 0) // runner.size, record["phase"], record.get("episode")),
    )
    steps = accumulate(record["steps"] for record in records)
    return [{**phase_record(record, {}), "step": step} for record, step in zip(records, steps, strict=True)]
