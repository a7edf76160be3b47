"""What `gymnasium.make` calls: the environment from plain settings."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from kselect.config import KnowledgeConfig, PhaseConfig, StudentConfig, TaskConfig, TrainingConfig
from kselect.errors import KselectError, unknown

if TYPE_CHECKING:
    from kselect.envs.distillation import DistillationEnv

Config = TypeVar("Config")

METADATA: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}
CONFIGS = (TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig, PhaseConfig)


def make_distillation_env(
    actions: Literal["hard", "soft"] = "hard",
    observe_cls: bool = False,
    seed: int = 0,
    render_mode: Literal["ansi", "rgb_array"] | None = None,
    **settings: Any,
) -> DistillationEnv:
    """Make the environment from names, paths and numbers alone, as `gymnasium.make` needs them.

    Args:
        actions: "hard" or "soft".
        observe_cls: Whether observations include both models' mean [CLS].
        seed: Of the initial weights of a student's head, where the student comes without one.
        render_mode: What `render` returns, see `DistillationEnv`.
        settings: Fields of TaskConfig, StudentConfig, TrainingConfig, KnowledgeConfig and PhaseConfig by name;
            `teacher`, the folder or Hub id of a fine-tuned classifier, is required.

    Returns:
        The environment.

    Raises:
        KselectError: an unknown setting, no teacher, or an invalid task, teacher or student.
    """
    known = [field.name for config in CONFIGS for field in fields(config)]
    for name in settings:
        if name not in known:
            raise unknown("setting", name, known)
    if "teacher" not in settings:
        raise KselectError(
            "teacher is missing: give the folder or hub id of a fine-tuned classifier.", setting="teacher"
        )
    from kselect.distillation.builders import make_distiller
    from kselect.envs.distillation import DistillationEnv  # torch comes with them, only after the checks above

    distiller = make_distiller(
        _fill(TaskConfig, settings),
        _fill(StudentConfig, settings),
        _fill(TrainingConfig, settings),
        _fill(KnowledgeConfig, settings),
        seed,
    )
    phases = _fill(PhaseConfig, settings)
    return DistillationEnv(distiller, actions, phases, observe_cls=observe_cls, render_mode=render_mode)


make_distillation_env.metadata = METADATA  # type: ignore[attr-defined]  # where Gymnasium looks for the render modes


def _fill(config: type[Config], settings: dict[str, Any]) -> Config:
    return config(**{field.name: settings[field.name] for field in fields(config) if field.name in settings})  # type: ignore[arg-type]
