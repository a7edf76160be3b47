"""What the commands that train have in common: a run folder, progress, and a run that may go wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kselect.cli.interruption import Interruption
from kselect.cli.progress import Progress
from kselect.distillation.builders import Models, make_models
from kselect.distillation.distiller import Distiller
from kselect.distillation.divergence import TrainingDivergedError
from kselect.errors import IncomparableError, KselectError
from kselect.models.classifier import Classifier
from kselect.recipes.compatibility import check_served
from kselect.runs.model_card import model_card
from kselect.runs.resume import RunPlace
from kselect.runs.run_dir import RunFolder
from kselect.tasks.registry import resolve_paths
from kselect.tasks.task import Task
from kselect.tasks.words.tagging_task import TaggingTask
from kselect.training.episode import OnPhase
from kselect.training.results import describe_selection, phase_record
from kselect.training.runner import EpisodeRunner
from kselect.training.workers import WorkerDiedError

if TYPE_CHECKING:
    from kselect.analysis.recording.writer import RunRecording


def prepare(settings: Any, task: Task[Any] | None = None) -> Distiller:
    """Set up the run that a command's settings describe; `task` is theirs, where it is loaded already."""
    models = make_models(settings.task, settings.model, settings.run.seed, task)
    try:
        distiller = models.distiller(settings.training, settings.knowledge, settings.task.max_length)
    except IncomparableError:
        check_served(settings.agent, models.student, models.teachers, models.task.is_labelled)
        raise
    warn_of_head(models)
    warn_of_length(distiller)
    return distiller


def resolved(settings: Any, distiller: Distiller) -> dict[str, Any]:
    """Return a command's settings by name, with what they left to the machine filled in."""
    config, student = settled(settings, distiller.task), distiller.student
    config["precision"] = "bf16" if distiller.dtype == torch.bfloat16 else "fp32"
    config["max_length"] = distiller.max_length
    if "knowledge" in config:
        config["knowledge"] = list(distiller.names)
    if student.labels is not None:
        config["head"] = student.head.name
    return config


def settled(settings: Any, task: Task) -> dict[str, Any]:
    """Return a command's settings by name, with what they left to the task filled in."""
    config = replace(settings, task=resolve_paths(settings.task)).to_dict()
    config["task"] = task.name
    if "layers" in config:
        config["layers"] = settings.model.kept_layers
    if isinstance(task, TaggingTask):
        config["scheme"], config["file_scheme"] = task.tag_set.scheme, task.file_scheme
    if not settings.task.own:
        config["data_dir"] = config["data_dir"] or os.environ.get("KSELECT_DATA")
    return config


def open_folder(settings: Any, distiller: Distiller, agent: str, command: str, task: str | None = None) -> RunFolder:
    """Open the run folder of a command's settings.

    `task` is what its name says was learned, by default the distiller's.
    """
    run, config, task = settings.run, resolved(settings, distiller), task or distiller.task.name
    place = RunPlace(Path(run.runs_dir), task, agent, run.seed, run.run_name, command)
    return RunFolder.open(place, config, run.fresh)


def save_model(folder: RunFolder, results: Mapping[str, Any], classifier: Classifier, name: str) -> None:
    """Write the trained model, its card and its results."""
    classifier.save_pretrained(folder.path / name)
    folder.write_card(model_card(results, folder.repeat, name))
    folder.write_results(results)


@contextmanager
def recorded(
    folder: RunFolder,
    runner: EpisodeRunner,
    title: str,
    tasks: Sequence[Task],
    recording: RunRecording | None = None,
) -> Iterator[OnPhase]:
    """Take up what a stopped run left, and give the `on_phase` that writes down each phase and shows progress.

    `tasks` are those of the runner. With `recording`, examples are written down, too.

    Raises:
        KselectError: training diverged; the last good state, where it can be had, is kept in the run folder.
        WorkerDiedError: a process that plays an episode is gone; a checkpoint is kept in the run folder.
        KeyboardInterrupt: Ctrl-C or SIGTERM, with what to say of it; a checkpoint is kept in the run folder.
    """
    with folder:
        step, total = _take_up(folder, runner, recording), runner.total_steps
        units = {task.name: task.loss_unit for task in tasks}
        with Progress(total, title, done=step) as progress, Interruption() as interruption:
            for distiller in runner.distillers:  # none where the teachers are in other processes
                distiller.watch_teacher(progress.part(f"Teacher's outputs on {distiller.task.name}"))

            def on_phase(record: dict[str, Any]) -> None:
                nonlocal step
                step += record["steps"]
                told = {} if recording is None else recording.keep_phase(step)
                folder.log_phase({**phase_record(record, runner.spent), **told, "step": step})
                facts = {"selected": describe_selection(record["weights"])}
                if "reward_loss" in record:
                    unit = units[record.get("task", tasks[0].name)]
                    facts["loss on reward"] = f"{record['reward_loss']:.3f} {unit}"
                progress.advance(record["steps"], **facts)
                if interruption.requested or (folder.checkpoint.due and runner.snapshot_steps > runner.saved_steps):
                    runner.save(folder.checkpoint)
                if interruption.requested:
                    raise KeyboardInterrupt

            try:
                try:
                    yield on_phase
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


def _take_up(folder: RunFolder, runner: EpisodeRunner, recording: RunRecording | None) -> int:
    """Restore the runner to the folder's checkpoint, where there is one; returns the training steps done."""
    if not folder.resumed:
        return 0
    snapshot = folder.checkpoint.load()
    if snapshot is None:
        print(f"Starting {folder.path} over: it was stopped before its first checkpoint.", file=sys.stderr)
    else:
        runner.restore(snapshot)
    step = sum(record["steps"] for record in runner.records)
    folder.rewind(len(runner.records), step)
    if recording is not None:
        recording.take_up(len(runner.records))
    if snapshot is not None:
        print(f"Going on with {folder.path} after {step} of {runner.total_steps} training steps.", file=sys.stderr)
    return step


def warn_of_head(models: Models) -> None:
    """Say that a student answers by a head that nobody has trained, where that is so."""
    if models.fresh_head:
        print(
            f"The student's head, {models.student.head.name}, is fresh: its weights are random, drawn with the seed.",
            file=sys.stderr,
        )


def warn_of_length(distiller: Distiller) -> None:
    """Say how many examples are longer than the model's input; see `warn_long`."""
    warn_long(sum(distiller.truncated.values()), sum(distiller.in_pieces.values()), distiller.max_length)


def warn_long(truncated: int, in_pieces: int, max_length: int) -> None:
    """Say how many texts, or sentences of words, are longer than the model's input, where there are any."""
    beyond = f"longer than max_length ({max_length} tokens)"
    if truncated:
        texts, were = ("text is", "was") if truncated == 1 else ("texts are", "were")
        print(f"{truncated} {texts} {beyond} and {were} cut.", file=sys.stderr)
    if in_pieces:
        sentences, are = ("sentence is", "is") if in_pieces == 1 else ("sentences are", "are")
        print(f"{in_pieces} {sentences} {beyond} and {are} read in pieces.", file=sys.stderr)


def describe_metrics(metrics: dict[str, float], task: Task) -> str:
    """Say how a model does on dev, a line for each split of it, beside the constant prediction."""
    lines = []
    for split, prefix in task.reported.items():
        constant = task.constant_score(split)
        shown = ", ".join(f"{name} {metrics[prefix + name]:.4f}" for name in constant)
        lines.append(f"{split}: {shown} (constant prediction: score {constant['score']:.4f})")
        lines += no_better(split, metrics[prefix + "score"], constant["score"])
    return "\n".join(lines)


def no_better(split: str, score: float, constant: float) -> list[str]:
    """Return a line on a score that the constant prediction has as well; nothing on one above it."""
    if score > constant:
        return []
    same = "scores as the constant prediction does, and may have become one"
    told = same if score == constant else "scores below the constant prediction"
    return [f"{split}: the model {told}. Look at --learning_rate, --epochs, and how frequent labels are."]
