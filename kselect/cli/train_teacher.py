"""Fine-tune an encoder into a teacher.

Takes a pretrained encoder from a folder or, for generated tasks, trains a small one from scratch, and leaves a
classifier that plain transformers loads.

Examples:
  kselect train-teacher --task mrpc --data_dir glue --encoder bert-base-uncased
  kselect train-teacher --task synthetic-entailment --encoder_layers 6 --epochs 8
"""

from __future__ import annotations

from pathlib import Path

from kselect.cli.notices import describe_metrics, warn_of_lengths
from kselect.cli.training_run import leading, open_folder, recorded, save_model
from kselect.config import AgentConfig, PhaseConfig, TrainTeacherSettings
from kselect.distillation.builders import make_encoder
from kselect.distillation.distiller import Distiller
from kselect.recipes.policies import build_policy
from kselect.runs.origin import datasets_of, read_origin
from kselect.tasks.task import Task
from kselect.training.api import evaluated
from kselect.training.best_student import watch_best
from kselect.training.results import summarise_run
from kselect.training.runner import EpisodeRunner


def run(settings: TrainTeacherSettings, task: Task) -> Path:
    """Fine-tune the encoder and save it in a run folder, whose path is returned."""
    teacher = make_encoder(settings.model, task, settings.task.max_length, settings.run.seed)
    distiller = Distiller(task, None, teacher, settings.training, max_length=settings.task.max_length)
    warn_of_lengths(distiller)
    with leading(distiller):
        return _train(settings, task, distiller)


def _train(settings: TrainTeacherSettings, task: Task, distiller: Distiller) -> Path:
    seed = settings.run.seed
    setup = build_policy(AgentConfig("fine-tune"), distiller, PhaseConfig("constant"), seed)
    sources = [settings.model.encoder] if settings.model.encoder else []
    origin = {"origin": read_origin(sources), "datasets": datasets_of(vars(settings.task))}
    best = watch_best(setup.env, settings.stopping)
    runner = EpisodeRunner(setup.agent, [setup.env], seeds=[seed], learning=False, callbacks=best)
    folder = open_folder(settings, distiller, "teacher", "train-teacher")
    with recorded(folder, runner, f"Fine-tuning a teacher for {task.name}", [task]) as watch:
        result = evaluated(runner.run(*watch)[0], setup.env)
        results = {**summarise_run(result, task, seed=seed), **origin}
        for watcher in best:
            results |= watcher.results()
        save_model(folder, results, result.student, "model")
    print(f"{describe_metrics(result.metrics, task)}\nteacher: {folder.path / 'model'}")
    return folder.path
