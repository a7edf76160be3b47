"""Stable-Baselines3 models as agents."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from kselect.agents.agent import Agent, Observation
from kselect.errors import KselectError

LIBRARY = "stable_baselines3"
DROPPED = ("observation_space", "action_space", "lr_schedule", "optimizer_class", "optimizer_kwargs", "dist_kwargs")
"""Arguments of a policy that are known without saving them, or that only training reads."""


class SB3Agent(Agent):
    """A trained Stable-Baselines3 model, which decides in `kselect.rollout` as any agent does.

    PPO and A2C give hard or soft actions, SAC, TD3 and DDPG soft ones. The model is trained on a `DistillationEnv` by
    its own `learn`; `kselect.learn` refuses it. A wrapper that changes observations, such as `VecNormalize`, is not
    part of a model.

    A saved agent has the usual two files, with the policy network as safetensors. Loading them needs
    Stable-Baselines3, and executes no code from the files.

    Args:
        model: A model, or the policy of one.

    Raises:
        KselectError: a model for other observations or actions than a `DistillationEnv` has.
    """

    transferable: ClassVar[bool] = False

    def __init__(self, model: Any) -> None:
        self.policy = getattr(model, "policy", model)
        if isinstance(model.observation_space, spaces.Dict):
            self.observation_keys = tuple(model.observation_space.spaces)
        super().__init__(model.observation_space, model.action_space)

    def act(self, observation: Observation, *, explore: bool = False) -> NDArray[Any]:
        """Return the policy's deterministic action `[k]`."""
        if explore:
            raise KselectError(
                "An SB3Agent only decides: train the model by its own learn(), and then wrap it in an SB3Agent."
            )
        self._check(observation)
        action, _ = self.policy.predict({key: observation[key] for key in self.observation_keys}, deterministic=True)
        return action.astype(np.float32 if self.soft else np.int8)

    @property
    def settings(self) -> dict[str, Any]:
        """The class of the policy network and the arguments it was made with, for JSON."""
        kind = type(self.policy)
        arguments = self.policy._get_constructor_parameters()
        return {
            "policy": f"{kind.__module__}.{kind.__qualname__}",
            "arguments": {name: _encoded(name, arg) for name, arg in arguments.items() if name not in DROPPED},
        }

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the weights of the policy network, and the facts of every agent."""
        weights = {f"policy.{name}": tensor.cpu().numpy() for name, tensor in self.policy.state_dict().items()}
        return weights, super().state()[1]

    def restore(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Load the weights that `state` returned."""
        super().restore(arrays, facts)
        self.policy.load_state_dict(
            {name.removeprefix("policy."): torch.from_numpy(array.copy()) for name, array in arrays.items()}
        )

    @classmethod
    def _build(
        cls, observation_space: spaces.Space, action_space: spaces.Space, description: Mapping[str, Any]
    ) -> SB3Agent:
        """Make an untrained policy network of the saved class, which must be one of Stable-Baselines3's."""
        settings = description["settings"]
        assert isinstance(observation_space, spaces.Dict)
        read = {key: observation_space[key] for key in ("context", "knowledge", *description["further"])}
        arguments = {name: _decoded(value) for name, value in settings["arguments"].items()}
        kind = _library_class(settings["policy"])
        return cls(kind(spaces.Dict(read), action_space, lambda _: 0.0, **arguments))


def _encoded(name: str, value: Any) -> Any:
    """Return an argument for JSON; a class of torch or Stable-Baselines3 as a dict of its name."""
    if isinstance(value, type) and value.__module__.split(".")[0] in ("torch", LIBRARY):
        return {"class": f"{value.__module__}.{value.__qualname__}"}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_encoded(name, item) for item in value]
    if isinstance(value, dict) and "class" not in value:
        return {key: _encoded(name, item) for key, item in value.items()}
    raise KselectError(f"Cannot save a policy with {name}={value!r}: save the model by its own save() instead.")


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        return (
            _library_class(value["class"]) if "class" in value else {key: _decoded(item) for key, item in value.items()}
        )
    return value


def _library_class(path: str) -> Any:
    """Return a module class of torch or Stable-Baselines3 by its path; nothing else is imported."""
    module, _, name = path.rpartition(".")
    if module.split(".")[0] in ("torch", LIBRARY):
        try:
            kind = getattr(import_module(module), name, None)
        except ModuleNotFoundError as error:
            raise KselectError(f"{path} is not installed: install Stable-Baselines3 (stable-baselines3).") from error
        if isinstance(kind, type) and issubclass(kind, torch.nn.Module):
            return kind
    raise KselectError(f"{path} is not a network of Stable-Baselines3: save the policy again.")
