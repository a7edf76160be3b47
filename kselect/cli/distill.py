"""Distil one student under an agent's selection.

The agent is a trained policy, a baseline by name, or `online`: one that learns while it distils, in this
single run. The student is left in the run folder, and plain transformers loads it.

Examples:
  kselect distill --task mrpc --teacher runs/teacher/model --layers 3 --agent runs/policy/policy
  kselect distill --config configs/mrpc.yaml --agent vanilla-kd --seed 1
  kselect distill --config configs/mrpc.yaml --agent fixed --agent_settings '{"weights": {"gold": 1}}'
"""

from __future__ import annotations

from pathlib import Path

from kselect.agents.chooser import Chooser
from kselect.analysis.inspection.run import scores
from kselect.analysis.inspection.tables import quarters
from kselect.analysis.recording.callback import ExampleRecorder
from kselect.analysis.recording.writer import RunRecording
from kselect.cli.console import print_section
from kselect.cli.notices import describe_metrics
from kselect.cli.training_run import (
    build_distiller,
    leading,
    open_folder,
    recorded,
    save_model,
)
from kselect.config import DistillSettings
from kselect.distillation.distiller import Distiller
from kselect.distillation.overlap import teacher_overlap
from kselect.errors import KselectError
from kselect.launcher import process_count
from kselect.models.parameters import describe_parameters, size_of
from kselect.recipes.choice import describe_choice
from kselect.recipes.policies import build_policy
from kselect.runs.history import read_episode
from kselect.runs.origin import datasets_of, read_origin
from kselect.tasks.task import Task
from kselect.training.api import evaluated, evaluated_teachers
from kselect.training.best_student import watch_best
from kselect.training.results import summarise_run
from kselect.training.runner import EpisodeRunner


def run(settings: DistillSettings, task: Task) -> Path:
    """Distil one student and save it in a run folder, whose path is returned."""
    if settings.recording.record and process_count() > 1:
        raise KselectError(
            "record needs every example in one process, and several share them: leave it out.", setting="record"
        )
    distiller = build_distiller(settings, task)
    with leading(distiller):
        return _distill(settings, task, distiller)


def _distill(settings: DistillSettings, task: Task, distiller: Distiller) -> Path:
    recorder = ExampleRecorder(distiller) if settings.recording.record else None
    agent, seed = settings.agent.agent, settings.run.seed
    setup = build_policy(settings.agent, distiller, settings.phases, seed)
    sources = [*settings.model.teachers, *([settings.model.student] if settings.model.student else [])]
    origin = {"origin": read_origin(sources), "datasets": datasets_of(vars(settings.task))}
    best = watch_best(setup.env, settings.stopping)
    runner = EpisodeRunner(setup.agent, [setup.env], seeds=[seed], learning=setup.learning, callbacks=best)
    folder = open_folder(settings, distiller, agent, "distill")
    plots = settings.recording.record_plots
    recording = None if recorder is None else RunRecording(distiller, recorder, folder, plots)
    with recorded(folder, runner, f"Distilling {task.name} under {Path(agent).name}", [task], recording) as watch:
        result = evaluated(runner.run(*watch)[0], setup.env)
        results = summarise_run(result, task, seed=seed, agent=agent, model=settings.model)
        for watcher in best:
            results |= watcher.results()
        results |= origin
        teachers = results["size"]["teachers"] = [size_of(teacher) for teacher in distiller.teachers]
        results["teacher_metrics"] = evaluated_teachers(distiller)
        if setup.env.facts is not None:
            results["facts"] = setup.env.facts.to_dict()
            if isinstance(setup.agent, Chooser):
                results["choice"], line = describe_choice(setup.agent, setup.env.facts)
                print(line)
        results["scales"] = dict(zip(distiller.kinds, distiller.scales.tolist(), strict=True))
        results["teacher_overlap"] = teacher_overlap(task, distiller.teachers)
        if recording is not None:
            results["recording"] = recording.finish()
        save_model(folder, results, result.student, "student")
    print(describe_metrics(result.metrics, task))
    print(describe_parameters(results["size"]["parameters"], teachers[0]["parameters"] if teachers else None))
    history = read_episode(result.history, folder.path)
    for section in (scores(results), *([quarters([history], draw=False)] if len(history.names) > 1 else [])):
        print()
        print_section(section)
    print(f"\nstudent: {folder.path / 'student'}")
    return folder.path
