"""The episode: a distillation run as a Gymnasium environment, `kselect/Distillation-v0`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kselect.envs.registration import register

if TYPE_CHECKING:
    from kselect.envs.distillation import DistillationEnv

register()

__all__ = ["DistillationEnv"]


def __getattr__(name: str) -> Any:
    # torch comes with the environment; importing this package only registers its id.
    if name == "DistillationEnv":
        from kselect.envs.distillation import DistillationEnv

        return DistillationEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
