"""Environments as Gymnasium vectors, and their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from kselect.envs.distillation import DistillationEnv

Env = gymnasium.Env[Any, Any]
VectorEnv = SyncVectorEnv | AsyncVectorEnv


class _VectorOfOne(SyncVectorEnv):
    """One environment as a vector; closing it is left to the owner."""

    def close_extras(self, **kwargs: Any) -> None:
        """Leave the environment open."""


def as_vector(env: Env) -> SyncVectorEnv:
    """Return one environment as a vector."""
    return _VectorOfOne([lambda: env])


def local_envs(vector: VectorEnv) -> list[DistillationEnv]:
    """Return the environments of this process that can be saved and restored."""
    envs = [env.unwrapped for env in vector.envs] if isinstance(vector, SyncVectorEnv) else []
    return [env for env in envs if isinstance(env, DistillationEnv)]


def observation_of(observation: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Return the observation of one environment from those of all."""
    return {name: values[index] for name, values in observation.items()}


def to_plain(value: Any) -> Any:
    """Return numbers of NumPy as plain ones, in nested mappings, too, without NaN, which was not measured."""
    if isinstance(value, dict):
        items = {name: to_plain(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item == item}
    return value.item() if isinstance(value, np.generic) else value
