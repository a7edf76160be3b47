"""Train a selection policy over repeated distillations.

Every episode distils one student from the start while the agent learns when to transfer which knowledge.
What is left is a policy for `kselect distill --agent`.

Examples:
  kselect train-policy --task mrpc --teacher runs/teacher/model --layers 3 --episodes 8
  kselect train-policy --config configs/mrpc.yaml --agent deterministic-actor-critic
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agents.registry import LEARNERS
from kselect.cli.help import listing
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
EPILOG = listing("Agents", LEARNERS)


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
    from kselect.cli.session import open_folder, recorded, warn_truncated
    from kselect.distillation.setup import make_distiller
    from kselect.study.casting import cast_learner
    from kselect.study.episode import learn
    from kselect.study.recipes import resolve
    from kselect.study.results import summarise_policy

    settings = replace(settings, knowledge=resolve(settings.agent, settings.knowledge))
    distiller = make_distiller(settings.task, settings.model, settings.training, settings.knowledge, settings.run.seed)
    warn_truncated(sum(distiller.truncated.values()), distiller.max_length)
    cast = cast_learner(settings.agent, distiller, settings.phases, settings.run.seed)
    folder = open_folder(settings, distiller, f"policy-{settings.agent.agent}", NAME)
    title = f"Training a policy on {distiller.task.name}"
    with recorded(folder, distiller, title, settings.policy.episodes) as on_phase:
        episodes = learn(
            cast.agent,
            cast.env,
            settings.policy.episodes,
            seed=settings.run.seed,
            on_phase=on_phase,
            on_episode=lambda _: cast.agent.save(folder.path / "policy"),  # a stopped run keeps what it learned
        )
        folder.write_results(summarise_policy(episodes, distiller.task, settings.agent.agent, settings.run.seed))
    for i, episode in enumerate(episodes, 1):
        print(f"episode {i}: reward {episode.total_reward:.4f}")
    print(f"policy: {folder.path / 'policy'}")
    return folder.path
