"""Train a selection policy over repeated distillations.

Every episode distils one student from the start while the agent learns when to transfer which knowledge.
What is left is a policy for `kselect distill --agent`.

Examples:
  kselect train-policy --task mrpc --teacher runs/teacher/model --layers 3 --episodes 8
  kselect train-policy --config configs/mrpc.yaml --agent deterministic-actor-critic
"""

from __future__ import annotations

from dataclasses import dataclass

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


def run(settings: Settings) -> None:
    """Train the agent over the episodes and save the policy in a run folder."""
