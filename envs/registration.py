"""The environment under its id, made from plain settings."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import gymnasium

from kselect.config import KnowledgeConfig, PhaseConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.errors import KselectError, unknown

if TYPE_CHECKING:
    from kselect.envs.distillation import DistillationEnv

Config = TypeVar("Config")

ENV_ID = "kselect/Distillation-v0"
CONFIGS = (TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig, PhaseConfig)


def make_distillation_env(
    actions: Literal["hard", "soft"] = "hard", observe_cls: bool = False, seed: int = 0, **settings: Any
) -> DistillationEnv:
    """Make the environment from names, paths and numbers alone, as `gymnasium.make` needs them.

    Args:
        actions: hard or soft.
        observe_cls: whether observations show both models' [CLS].
        seed: draws the head of a student that comes without one.
        settings: any field of TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig and PhaseConfig by its name;
            `teacher`, the folder or hub id of a fine-tuned classifier, has no default.

    Raises:
        KselectError: a setting that does not exist, or whatever is wrong with task or teacher.
    """
    from kselect.distillation.builders import make_distiller
    from kselect.envs.distillation import DistillationEnv

    known = [field.name for config in CONFIGS for field in fields(config)]
    for name in settings:
        if name not in known:
            raise unknown("setting", name, known)
    if "teacher" not in settings:
        raise KselectError("teacher is missing: give the folder or hub id of a fine-tuned classifier.")
    distiller = make_distiller(
        _fill(TaskConfig, settings),
        _fill(StudentConfig, settings),
        _fill(TrainingConfig, settings),
        _fill(KnowledgeConfig, settings),
        seed,
    )
    return DistillationEnv(distiller, actions=actions, phases=_fill(PhaseConfig, settings), observe_cls=observe_cls)


def _fill(config: type[Config], settings: dict[str, Any]) -> Config:
    return config(**{field.name: settings[field.name] for field in fields(config) if field.name in settings})  # type: ignore[arg-type]


def register() -> None:
    """Make the environment known to `gymnasium.make`."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(id=ENV_ID, entry_point="kselect.envs.registration:make_distillation_env")
