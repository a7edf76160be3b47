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

from kselect.agents.registry import LEARNERS, ONLINE
from kselect.cli.brought import knowledge_of_agent
from kselect.cli.help import listing
from kselect.config import DistillSettings as Settings
from kselect.recipes import NAMED, check, check_decider

NAME = "distill"
DECIDERS = {
    "FOLDER": f"a policy that `kselect train-policy` made with {', '.join(LEARNERS)}",
    "gold:1,logits:0.5": "weights of your own, all along: `fixed` in short",
    **{name: f"{learner}, which learns in this one run" for name, learner in ONLINE.items()},
    **{name: line for name, line in NAMED.items() if name not in LEARNERS},
}
EPILOG = listing("Agents", DECIDERS)
UNDER = knowledge_of_agent


def run(settings: Settings) -> Path:
    """Distil one student and save it in a run folder, whose path is returned."""
    check_decider(settings.agent.agent)
    check(settings.agent, settings.knowledge)
    if settings.recording.record:
        settings.task.require_labels("A recording")
    from kselect.tasks.registry import make_task

    task = make_task(settings.task)  # before torch is loaded, so that faults in data are told at once

    from kselect.analysis.recording.callback import ExampleRecorder
    from kselect.analysis.recording.writer import RunRecording
    from kselect.cli.session import describe_metrics, open_folder, prepare, recorded, save_model
    from kselect.recipes.policies import build_policy
    from kselect.training.api import evaluated, evaluated_teachers
    from kselect.training.results import summarise_run
    from kselect.training.runner import EpisodeRunner

    distiller = prepare(settings, task)
    recorder = ExampleRecorder(distiller) if settings.recording.record else None
    agent, seed = settings.agent.agent, settings.run.seed
    setup = build_policy(settings.agent, distiller, settings.phases, seed)
    runner = EpisodeRunner(setup.agent, [setup.env], seeds=[seed], learning=setup.learning)
    folder = open_folder(settings, distiller, agent, NAME)
    plots = settings.recording.record_plots
    recording = None if recorder is None else RunRecording(distiller, recorder, folder, plots)
    with recorded(folder, runner, f"Distilling {task.name} under {Path(agent).name}", [task], recording) as on_phase:
        result = evaluated(runner.run(on_phase)[0], setup.env)
        results = summarise_run(result, task, seed=seed, agent=agent, model=settings.model)
        results["teacher_metrics"] = evaluated_teachers(distiller)
        results["scales"] = dict(zip(distiller.names, distiller.scales.tolist(), strict=True))
        if recording is not None:
            results["recording"] = recording.finish()
        save_model(folder, results, result.student, "student")
    print(f"{describe_metrics(result.metrics, task)}\nstudent: {folder.path / 'student'}")
    return folder.path
