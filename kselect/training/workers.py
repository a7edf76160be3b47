"""Environments in processes of their own, as a `gymnasium.vector.AsyncVectorEnv`."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import gymnasium
import torch
from gymnasium.vector import AsyncVectorEnv

from kselect.errors import KselectError


class WorkerDiedError(KselectError):
    """A process that runs an environment has died."""


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turn the broken pipe of a process that died into one line.

    Raises:
        WorkerDiedError: A process died.
    """
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise WorkerDiedError(
            "An environment process died, possibly out of memory: run it again to resume from the last episodes that "
            "were completed, or start over with fewer processes.",
            setting="parallel",
        ) from error


def make_worker_envs(settings: Sequence[Mapping[str, Any]]) -> AsyncVectorEnv:
    """Start one process per environment; they share out this process's threads.

    Args:
        settings: Plain settings of each environment, see `kselect.envs.registration.make_distillation_env`.
    """
    threads = max(1, torch.get_num_threads() // len(settings))
    return AsyncVectorEnv([partial(_worker_env, threads, **each) for each in settings], context="spawn")


def stop_worker_envs(envs: AsyncVectorEnv) -> None:
    """End the processes, even in the middle of a phase."""
    for process in envs.processes:
        process.kill()  # they ignore any other signal
        process.join()
    with suppress(OSError, EOFError):
        envs.close(terminate=True)
    envs.closed = True


def _worker_env(threads: int, **settings: Any) -> gymnasium.Env[Any, Any]:
    if multiprocessing.parent_process() is not None:  # the first is made here as well, to read its spaces
        for number in (signal.SIGINT, signal.SIGTERM):  # sent to every process of a group; the parent handles them
            signal.signal(number, signal.SIG_IGN)
        torch.set_num_threads(threads)
    return gymnasium.make("kselect/Distillation-v0", disable_env_checker=True, **settings)
