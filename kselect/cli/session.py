"""What the commands that train have in common: a run folder, progress, and a run that may go wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from kselect.cli.command import flatten
from kselect.cli.progress import Progress
from kselect.distillation.distiller import Distiller
from kselect.distillation.diverged import TrainingDivergedError
from kselect.errors import UserError
from kselect.models.classifier import Classifier
from kselect.study.model_card import model_card
from kselect.study.recorder import describe_selection, phase_record
from kselect.study.run_folder import RunFolder
from kselect.tasks.task import Task


def open_folder(settings: Any, distiller: Distiller, agent: str, command: str) -> RunFolder:
    """Make the run folder of a command's settings, with what they left to the machine filled in."""
    run, config = settings.run, flatten(settings)
    config["precision"] = "bf16" if distiller.dtype == torch.bfloat16 else "fp32"
    config["max_length"] = distiller.max_length
    config["task"] = distiller.task.name
    if not settings.task.own:
        config["data_dir"] = config["data_dir"] or os.environ.get("KSELECT_DATA")
    return RunFolder.create(run.runs_dir, distiller.task.name, agent, run.seed, config, run.run_name, command)


def save_model(folder: RunFolder, results: Mapping[str, Any], classifier: Classifier, name: str) -> None:
    """Write the trained model, its results and its card."""
    classifier.save_pretrained(folder.path / name)
    folder.write_results(results)
    folder.write_card(model_card(results, f"kselect {folder.command} --config {folder.path}/config.yaml", name))


@contextmanager
def recorded(
    folder: RunFolder, distiller: Distiller, title: str, episodes: int = 1
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give the `on_phase` that writes each phase to the run folder and shows how far the run is.

    Raises:
        UserError: training diverged; the last good state is kept in the run folder.
    """
    before = 0
    with folder, Progress(episodes * distiller.total_steps, title) as progress:

        def on_phase(record: dict[str, Any]) -> None:
            nonlocal before
            flat = phase_record(record, distiller.account)
            folder.log_phase({**flat, "step": before + record["step"]})
            if record["step"] == distiller.total_steps:
                before += distiller.total_steps
            facts = {"selected": describe_selection(record["weights"])}
            if "reward_loss" in record:
                facts["reward_loss"] = f"{record['reward_loss']:.3f}"
            progress.advance(record["steps"], **facts)

        try:
            yield on_phase
        except TrainingDivergedError as error:
            kept = folder.path / "checkpoints" / "last-good"
            distiller.snapshot().save(kept)
            raise UserError(f"{error} The last good state is kept in {kept}.") from error


def warn_truncated(texts: int, max_length: int) -> None:
    """Say how many texts are longer than the model's input, where there are any."""
    if texts:
        print(f"{texts} texts are longer than max_length ({max_length} tokens) and were cut.", file=sys.stderr)


def describe_metrics(metrics: dict[str, float], task: Task) -> str:
    """Say how a model does on dev, a line for each split of it, beside the constant prediction."""
    lines = []
    for split, prefix in task.reported.items():
        constant = task.constant_score(split)
        shown = ", ".join(f"{name} {metrics[prefix + name]:.4f}" for name in constant)
        lines.append(f"{split}: {shown} (constant prediction: score {constant['score']:.4f})")
    return "\n".join(lines)
