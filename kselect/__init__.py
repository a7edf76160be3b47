"""kselect: learned knowledge selection for distilling transformer encoders. A distillation run is an episode."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kselect.agents.actor_critic import ActorCritic
    from kselect.agents.ddpg import DeterministicActorCritic
    from kselect.config import KnowledgeConfig, PhaseConfig, TrainingConfig
    from kselect.distillation.distiller import Distiller
    from kselect.envs.distillation import DistillationEnv
    from kselect.models.classifier import Classifier
    from kselect.models.shrink import shrink
    from kselect.models.loading import load_classifier as load_teacher
    from kselect.models.loading import load_student
    from kselect.tasks.registry import load_task
    from kselect.training.api import learn, rollout

__version__ = "0.1.0"

_HOMES = {
    "ActorCritic": "kselect.agents.actor_critic",
    "DeterministicActorCritic": "kselect.agents.ddpg",
    "DistillationEnv": "kselect.envs.distillation",
    "KnowledgeConfig": "kselect.config",
    "PhaseConfig": "kselect.config",
    "TrainingConfig": "kselect.config",
    "Distiller": "kselect.distillation.distiller",
    "Classifier": "kselect.models.classifier",
    "load_student": "kselect.models.loading",
    "load_teacher": "kselect.models.loading:load_classifier",
    "shrink": "kselect.models.shrink",
    "learn": "kselect.training.api",
    "rollout": "kselect.training.api",
    "load_task": "kselect.tasks.registry",
}

__all__ = [
    "ActorCritic",
    "Classifier",
    "DeterministicActorCritic",
    "DistillationEnv",
    "Distiller",
    "KnowledgeConfig",
    "PhaseConfig",
    "TrainingConfig",
    "learn",
    "load_student",
    "load_task",
    "load_teacher",
    "rollout",
    "shrink",
]


def __getattr__(name: str) -> Any:
    # Names come with their modules, and torch with those, on first use only: `kselect --help` needs neither.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute or name)
