"""Train a selection policy over repeated distillations.

Every episode distils one student from the start while the agent learns when to transfer which knowledge.
What is left is a policy for `kselect distill --agent`.

Examples:
  kselect train-policy --task mrpc --teacher runs/teacher/model --layers 3 --episodes 8
  kselect train-policy --config configs/mrpc.yaml --agent deterministic-actor-critic
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kselect.config import (
    AgentConfig,
    KnowledgeConfig,
    PhaseConfig,
    PolicyConfig,
    RunConfig,
    StudentConfig,
    TaskConfig,
    TrainingConfig,
)

NAME = "train-policy"


@dataclass
class Settings:
    """What `kselect train-policy` takes."""

    task: TaskConfig
    model: StudentConfig
    training: TrainingConfig
    knowledge: KnowledgeConfig
    phases: PhaseConfig
    agent: AgentConfig
    policy: PolicyConfig
    run: RunConfig


def run(settings: Settings) -> Path:
    """Train a selection policy and save it in a run folder, whose path is returned."""
    from kselect.cli.session import open_folder, prepare, recorded
    from kselect.study.casting import cast_learner
    from kselect.study.episode import practice
    from kselect.study.results import summarise_policy

    distiller = prepare(settings)
    agent, seed = settings.agent.agent, settings.run.seed
    cast = cast_learner(settings.agent, distiller, settings.phases, seed)
    series = practice(cast.agent, [cast.env], settings.policy.episodes, seed=seed)
    folder = open_folder(settings, distiller, f"policy-{agent}", NAME)
    with recorded(folder, series, f"Training a policy on {distiller.task.name}") as on_phase:
        # Saved after every episode, so that a stopped run leaves what it has learned.
        episodes = series.play(on_phase, on_episode=lambda _: cast.agent.save(folder.path / "policy"))
        folder.write_results(summarise_policy(episodes, distiller.task, agent, seed))
    for i, episode in enumerate(episodes, 1):
        print(f"episode {i}: reward {episode.total_reward:.4f}")
    print(f"policy: {folder.path / 'policy'}")
    return folder.path
