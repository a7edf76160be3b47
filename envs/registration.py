"""What `gymnasium.make` calls: the environment from plain settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from kselect.config import EnvSettings

if TYPE_CHECKING:
    from kselect.envs.actions import Actions
    from kselect.envs.distillation import DistillationEnv

METADATA: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}


def make_distillation_env(
    actions: Actions = "hard",
    observe_cls: bool = False,
    seed: int = 0,
    render_mode: Literal["ansi", "rgb_array"] | None = None,
    complete_info: bool = False,
    **settings: Any,
) -> DistillationEnv:
    """Make the environment from names, paths and numbers alone, as `gymnasium.make` needs them.

    Args:
        actions: "hard", "soft" or "discrete".
        observe_cls: Whether observations include both models' mean [CLS].
        seed: Of the initial weights of a student's head, where the student comes without one.
        render_mode: What `render` returns, see `DistillationEnv`.
        complete_info: Whether every info has the same keys, see `DistillationEnv`.
        settings: Settings of `kselect.config.EnvSettings` by name; `teacher`, the folder or Hub id of a fine-tuned
            classifier, or `teacher_columns` is required.

    Raises:
        KselectError: an unknown setting, no teacher, or an invalid task, teacher or student.
    """
    config = EnvSettings.from_dict(settings)
    from kselect.distillation.builders import make_distiller
    from kselect.envs.distillation import DistillationEnv  # torch comes with them, only after the checks above

    distiller = make_distiller(config.task, config.model, config.training, config.knowledge, seed)
    further: dict[str, Any] = {"observe_cls": observe_cls, "render_mode": render_mode, "complete_info": complete_info}
    return DistillationEnv(distiller, actions, config.phases, **further)


make_distillation_env.metadata = METADATA  # type: ignore[attr-defined]  # where Gymnasium looks for the render modes
