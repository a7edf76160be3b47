"""Environments in processes of Ray, as a Gymnasium vector: on a cluster, or on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import Any, cast

import gymnasium
import ray
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import iterate
from ray.exceptions import RayError, RayTaskError

from kselect.config import ResourceConfig
from kselect.logging import get_logger
from kselect.training.ray_start import RETRIES, connect, enter
from kselect.training.vector import Env
from kselect.training.workers import WorkerDiedError


class RayVectorEnv(SyncVectorEnv):
    """Environments that run side by side, each in a process of Ray that keeps it until the vector is closed.

    They are on the cluster that `RAY_ADDRESS` names, or on this machine; see `RayEngine` for what its machines need. If
    a process or its machine dies, another one makes the environment again and takes the steps of its episode
    again, from the same seed and by the same actions, while the others wait. The agent does not notice.
    """

    def __init__(self, makes: Sequence[Callable[[], Env]], like: Env, config: ResourceConfig) -> None:
        """Start the processes.

        Args:
            makes: Make each environment; other processes must be able to import them.
            like: An environment with the same spaces.
            config: What each environment reserves.

        Raises:
            KselectError: no such cluster, or this machine has less than the environments reserve.
        """
        connect(config, len(makes), together=True)
        host = ray.remote(num_cpus=config.cpus_per_run, num_gpus=config.gpus_per_run)(_Host)
        place = partial(enter, os.getcwd(), config.cpus_per_run)
        super().__init__([partial(_RemoteEnv, partial(host.remote, place, make), like) for make in makes])
        self._remote = cast("list[_RemoteEnv]", self.envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset all environments; see `gymnasium.vector.VectorEnv.reset`, with a list of seeds or none."""
        for env, each in zip(self._remote, seed or [None] * self.num_envs, strict=True):
            env.begin("reset", seed=each, options=options)
        return super().reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step in all environments; one whose episode is over is reset."""
        for env, action, is_over in zip(
            self._remote, iterate(self.action_space, actions), self._autoreset_envs, strict=True
        ):
            env.begin("reset") if is_over else env.begin("step", action)
        return super().step(actions)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of all environments, or read an attribute."""
        for env in self._remote:
            env.begin(name, *args, **kwargs)
        return tuple(env.end() for env in self._remote)


class _RemoteEnv(gymnasium.Env[Any, Any]):
    """One of the environments, seen from here: what is asked of it, and again of its successor if it dies."""

    def __init__(self, start: Callable[[], Any], like: Env) -> None:
        self.observation_space, self.action_space = like.observation_space, like.action_space
        self._start = start
        self._host = start()
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._deaths = 0
        self._answer: Any = None

    def begin(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Ask for a method or an attribute, and do not wait for the answer."""
        if name == "reset":  # an episode depends on nothing before it but where the agent wants to decide
            self._calls = [call for call in self._calls if call[0] == "decide_at"]
            self._deaths = 0
        self._calls.append((name, args, kwargs))
        self._answer = self._host.ask.remote(name, *args, **kwargs)

    def end(self) -> Any:
        """Wait for the answer to what `begin` asked.

        Raises:
            WorkerDiedError: the processes died again and again.
        """
        while True:
            try:
                with redirect_stdout(sys.stderr):  # Ray reports dead processes on stdout, which is for results
                    return ray.get(self._answer)
            except RayTaskError as error:
                raise error.cause from error
            except RayError as error:  # of the process or its machine
                self._deaths += 1
                if self._deaths > RETRIES:
                    raise WorkerDiedError from error
                get_logger().warning("An environment process died: another one takes the steps of its episode again.")
                ray.kill(self._host)  # which may live on where only its machine does not answer
                self._host = self._start()
                for name, args, kwargs in self._calls:
                    self._answer = self._host.ask.remote(name, *args, **kwargs)

    def reset(self, **_: Any) -> Any:
        """Return the answer to the reset that has begun."""
        return self.end()

    def step(self, action: Any) -> Any:
        """Return the answer to the step that has begun."""
        return self.end()

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> Any:
        """Set an attribute of the environment."""
        self.begin("set_wrapper_attr", name, value, force=force)
        return self.end()

    def close(self) -> None:
        """End the process, even in the middle of a step."""
        if ray.is_initialized():
            ray.kill(self._host)


class _Host:
    """An actor that holds an environment."""

    def __init__(self, place: Callable[[], None], make: Callable[[], Env]) -> None:
        self._place, self._make = place, make
        self._env: Env | None = None

    def ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the environment, which is made for the first one, or read an attribute."""
        if self._env is None:
            self._place()
            self._env = self._make()
        attribute = self._env.get_wrapper_attr(name)
        return attribute(*args, **kwargs) if callable(attribute) else attribute
