"""The distillation run as a Gymnasium environment, `kselect/Distillation-v0`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kselect.envs.distillation import DistillationEnv

__all__ = ["DistillationEnv"]


def __getattr__(name: str) -> Any:
    """Import the environment, and torch with it, on first use (PEP 562)."""
    if name == "DistillationEnv":
        from kselect.envs.distillation import DistillationEnv

        return DistillationEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
