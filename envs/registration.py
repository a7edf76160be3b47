"""The environment under its id, made from plain settings."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import gymnasium

from kselect.config import KnowledgeConfig, PhaseConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.errors import unknown

if TYPE_CHECKING:
    from envs.distillation import DistillationEnv

ENV_ID = "kselect/Distillation-v0"
CONFIGS = (TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig, PhaseConfig)


def make_distillation_env(actions: Literal["hard", "soft"] = "hard", **settings: Any) -> DistillationEnv:
    """Make the environment from names, paths and numbers alone, as `gymnasium.make` needs them.

    Args:
        actions: hard or soft.
        settings: any field of TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig and PhaseConfig by its name;
            `teacher`, the folder or hub id of a fine-tuned classifier, has no default.

    Raises:
        UserError: a setting that does not exist, or whatever is wrong with task or teacher.
    """
    from envs.distillation import DistillationEnv
    from kselect.distillation.setup import make_distiller

    names = {config: [field.name for field in fields(config)] for config in CONFIGS}
    known = [name for own in names.values() for name in own]
    for name in settings:
        if name not in known:
            raise unknown("setting", name, known)
    task, student, training, knowledge, phases = (
        config(**{name: settings[name] for name in own if name in settings}) for config, own in names.items()
    )
    return DistillationEnv(make_distiller(task, student, training, knowledge), actions=actions, phases=phases)


def register() -> None:
    """Make the environment known to `gymnasium.make`."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(id=ENV_ID, entry_point="envs.registration:make_distillation_env")
