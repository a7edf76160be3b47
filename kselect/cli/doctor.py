"""Look at a teacher and a task before any training, and advise.

Reads a few hundred examples of train and of the reward split, never of dev, and takes a few training steps to time
them; whether distilling is worth while, at which temperature, by which knowledge and for how long is told in plain
sentences, each with its numbers. With --outcomes the advice is held against students that were trained meanwhile.

Examples:
  kselect doctor --task mrpc --teacher runs/teacher/model --layers 3
  kselect doctor --task mrpc --teacher runs/teacher/model --student small-encoder --examples 500
  kselect doctor --config configs/mrpc.yaml --outcomes runs
"""

from __future__ import annotations

from pathlib import Path

from kselect.config import DoctorSettings as Settings

NAME = "doctor"


def run(settings: Settings) -> Path:
    """Examine a teacher, print what was found, and leave it in a run folder, whose path is returned."""
    from kselect.tasks.registry import make_task

    task = make_task(settings.task)  # before torch is loaded, so that faults in data are told at once

    from kselect.analysis.doctor import advise, examine, read_outcomes
    from kselect.analysis.doctor.examination import check_examinable, check_readable, looked_at
    from kselect.cli.examined import histograms, print_examination, summarise_examination
    from kselect.cli.session import settled, warn_of_head
    from kselect.distillation.builders import make_models
    from kselect.runs.resume import RunPlace
    from kselect.runs.run_dir import RunFolder

    check_examinable(task)  # before models are loaded
    temperature = looked_at(settings.knowledge)
    seed, place = settings.run.seed, settings.run
    models = make_models(settings.task, settings.model, seed, task)
    (teacher,) = models.teachers
    check_readable(task, teacher)
    warn_of_head(models)
    held = settings.doctor.outcomes
    outcomes = None if held is None else read_outcomes(held, task.name, temperature)
    at = RunPlace(Path(place.runs_dir), task.name, NAME, seed, place.run_name, NAME)
    with RunFolder.open(at, settled(settings, task), place.fresh) as folder:
        if folder.resumed:  # there is nothing to go on from
            folder.rewind(0, 0)
        found = examine(
            task,
            teacher,
            models.student,
            settings.training,
            settings.knowledge,
            examples=settings.doctor.examples,
            max_length=settings.task.max_length,
            seed=settings.task.data_seed,
        )
        advice = advise(found)
        folder.log_histograms(histograms(found), 0)
        about = {"task": task.name, "teacher": settings.model.teachers[0], "seed": seed}
        folder.write_results({**about, **summarise_examination(found, advice, outcomes)})
    print_examination(found, advice, outcomes)
    print(f"examination: {folder.path}")
    return folder.path
