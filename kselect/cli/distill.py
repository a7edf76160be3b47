"""Distil one student under an agent's selection.

The agent is a trained policy, a baseline by name, or `online`: one that learns while it distils, in this
single run. The student is left in the run folder, and plain transformers loads it.

Examples:
  kselect distill --task mrpc --teacher runs/teacher/model --layers 3 --agent runs/policy/policy
  kselect distill --config configs/mrpc.yaml --agent vanilla-kd --seed 1
  kselect distill --config configs/mrpc.yaml --agent fixed --agent_settings '{"weights": {"gold": 1}}'
"""

from __future__ import annotations

from dataclasses import dataclass

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


def run(settings: Settings) -> None:
    """Distil one student and save it in a run folder."""
