"""Environments in processes of their own, as a Gymnasium vector."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import gymnasium
import torch
from gymnasium.vector import AsyncVectorEnv

from kselect.config import EnvSettings, EpisodeConfig
from kselect.distillation.builders import make_distiller
from kselect.envs.actions import Actions
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.training.vector import VectorEnv

SILENT = gymnasium.logger.ERROR + 1


WORKER_DIED = (
    "An environment process died, possibly out of memory: run it again to resume from the last episodes that were "
    "completed, or start over with fewer processes."
)


class WorkerDiedError(KselectError):
    """A process that runs an environment has died."""

    def __init__(self, message: str = WORKER_DIED) -> None:
        super().__init__(message, setting="parallel")


@dataclass(frozen=True)
class EnvSpec:
    """Settings that make an environment again in another process."""

    settings: EnvSettings
    actions: Actions = "hard"
    observe_cls: bool = False
    seed: int = 0

    def make(self) -> DistillationEnv:
        """Make the environment."""
        s = self.settings
        distiller = make_distiller(s.task, s.model, s.training, s.knowledge, self.seed)
        return DistillationEnv(distiller, self.actions, s.phases, observe_cls=self.observe_cls)


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turn the broken pipe of a process that died into one line."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        raise WorkerDiedError from error


@contextmanager
def parallel_envs(specs: Sequence[EnvSpec], like: DistillationEnv, config: EpisodeConfig) -> Iterator[VectorEnv]:
    """Yield environments in processes of their own, which end with the context.

    Args:
        specs: Make each environment.
        like: An environment with the same spaces.
        config: Where the processes are, and what each reserves.
    """
    if config.engine == "ray":
        from kselect.training.ray_envs import RayVectorEnv  # Ray is an extra

        with closing(RayVectorEnv([spec.make for spec in specs], like, config)) as remote:
            yield remote
        return
    level = gymnasium.logger.min_level
    gymnasium.logger.min_level = SILENT  # it would print the traceback of a worker's error, which is raised here
    workers = make_worker_envs(specs)
    try:
        yield workers
    finally:
        stop_worker_envs(workers)
        gymnasium.logger.min_level = level


def make_worker_envs(specs: Sequence[EnvSpec]) -> AsyncVectorEnv:
    """Start one process per environment; they share out this process's threads."""
    threads = max(1, torch.get_num_threads() // len(specs))
    return AsyncVectorEnv([partial(_worker_env, threads, spec) for spec in specs], context="spawn")


def stop_worker_envs(envs: AsyncVectorEnv) -> None:
    """End the processes, even in the middle of a phase."""
    for process in envs.processes:
        process.kill()  # they ignore any other signal
        process.join()
    with suppress(OSError, EOFError):
        envs.close(terminate=True)
    envs.closed = True


def _worker_env(threads: int, spec: EnvSpec) -> DistillationEnv:
    if multiprocessing.parent_process() is not None:  # the first is made here as well, to read its spaces
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # which a whole group is sent
            signal.signal(number, signal.SIG_IGN)
        torch.set_num_threads(threads)
    return spec.make()
