"""Distil one student under an agent's selection.

The agent is a trained policy, a baseline by name, or `online`: one that learns while it distils, in this
single run. The student is left in the run folder, and plain transformers loads it.

Examples:
  kselect distill --task mrpc --teacher runs/teacher/model --layers 3 --agent runs/policy/policy
  kselect distill --config configs/mrpc.yaml --agent vanilla-kd --seed 1
  kselect distill --config configs/mrpc.yaml --agent fixed --agent_settings '{"weights": {"gold": 1}}'
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agents.registry import AGENTS, LEARNERS, ONLINE
from kselect.cli.help import listing
from kselect.config import (
    AgentConfig,
    KnowledgeConfig,
    PhaseConfig,
    RunConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
)

NAME = "distill"
DEFAULTS = {"agent": "online"}
DECIDERS = {
    "FOLDER": f"a policy that `kselect train-policy` made with {', '.join(LEARNERS)}",
    **{name: f"{learner}, which learns in this one run" for name, learner in ONLINE.items()},
    **{name: line for name, line in AGENTS.items() if name not in LEARNERS},
}
EPILOG = listing("Agents", DECIDERS)


@dataclass
class Settings:
    """What `kselect distill` takes."""

    task: TaskConfig
    model: StudentConfig
    training: TrainingConfig
    knowledge: KnowledgeConfig
    phases: PhaseConfig
    agent: AgentConfig
    run: RunConfig


def run(settings: Settings) -> Path:
    """Distil one student and save it in a run folder, whose path is returned."""
    from kselect.cli.session import describe_metrics, open_folder, recorded, save_model, warn_truncated
    from kselect.distillation.setup import make_distiller
    from kselect.study.casting import cast_decider
    from kselect.study.episode import rollout
    from kselect.study.recipes import resolve
    from kselect.study.results import summarise_run

    settings = replace(settings, knowledge=resolve(settings.agent, settings.knowledge))
    distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge, settings.run.seed)
    task = distiller.task
    warn_truncated(sum(distiller.truncated.values()), distiller.max_length)
    cast = cast_decider(settings.agent, distiller, settings.phases, settings.run.seed)
    folder = open_folder(settings, distiller, settings.agent.agent, NAME)
    title = f"Distilling {task.name} under {Path(settings.agent.agent).name}"
    with recorded(folder, distiller, title) as on_phase:
        result = rollout(cast.agent, cast.env, seed=settings.run.seed, learning=cast.learning, on_phase=on_phase)
        results = summarise_run(result, task, seed=settings.run.seed, agent=settings.agent.agent, model=settings.model)
        save_model(folder, results, result.student, "student")
    print(f"{describe_metrics(result.metrics, task)}\nstudent: {folder.path / 'student'}")
    return folder.path
