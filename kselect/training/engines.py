"""Engines that compute the runs of a study on this machine: in this process, or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from kselect.config import EngineConfig

POLL_SECONDS = 0.5
DIED = "The process died, possibly out of memory"
UNREADABLE = "A machine of the cluster cannot read the run: give it the Python environment of this one"

Report = Callable[[int, int], None]
"""Receives the training steps that a run has done, and those of the whole run; may raise KeyboardInterrupt."""
RunFunction = Callable[[Mapping[str, Any], Report], dict[str, Any]]
"""Computes one run from its plain settings and returns its results, which JSON can hold."""
Outcome = tuple[int, dict[str, Any]]
"""The index of a run, and its results, or {"error": message, "traceback": text} where it failed."""


class Engine(Protocol):
    """Computes runs that do not depend on each other. Implement it to compute them elsewhere, such as on a cluster."""

    def run(
        self, function: RunFunction, runs: Sequence[Mapping[str, Any]], report: Callable[[int, int, int], None]
    ) -> Iterator[Outcome]:
        """Yield the outcome of each run as it ends, in any order.

        Args:
            function: Computes a run; at the top level of a module, so that other processes can import it.
            runs: Plain settings of each run.
            report: Receives the index of a run, its steps done and its steps in all, after every phase or more often.
                It may raise KeyboardInterrupt to stop everything.
        """


class SerialEngine:
    """Computes one run after another in this process."""

    def run(
        self, function: RunFunction, runs: Sequence[Mapping[str, Any]], report: Callable[[int, int, int], None]
    ) -> Iterator[Outcome]:
        """See `Engine.run`; `report` is called after each phase."""
        for index, settings in enumerate(runs):
            yield index, outcome_of(function, settings, partial(report, index))


class ProcessEngine:
    """Computes runs in parallel in local processes, which share out this one's threads."""

    def __init__(self, processes: int) -> None:
        """Plan for so many processes at a time."""
        self.processes = processes

    def run(
        self, function: RunFunction, runs: Sequence[Mapping[str, Any]], report: Callable[[int, int, int], None]
    ) -> Iterator[Outcome]:
        """See `Engine.run`; a process that dies fails its run alone."""
        context = multiprocessing.get_context("spawn")
        waiting = deque(range(len(runs)))
        threads = max(1, _threads() // self.processes)
        workers: dict[Connection, Any] = {}
        busy: dict[Connection, tuple[int, int, int]] = {}

        def start() -> Connection:
            connection, other = context.Pipe()
            worker = context.Process(target=_work, args=(other, function, threads), daemon=True)
            worker.start()
            other.close()
            workers[connection] = worker
            return connection

        def assign(connection: Connection) -> None:
            if waiting:
                index = waiting.popleft()
                with suppress(ConnectionError):  # its process has died, as `recv` finds
                    connection.send(runs[index])
                busy[connection] = (index, 0, 1)

        try:
            for _ in range(min(self.processes, len(runs))):
                assign(start())
            while busy:
                ready = [
                    connection for connection in wait(list(busy), POLL_SECONDS) if isinstance(connection, Connection)
                ]
                for connection in ready:
                    index = busy[connection][0]
                    try:
                        kind, content = connection.recv()
                    except (EOFError, ConnectionError):
                        workers.pop(connection).join()
                        del busy[connection]
                        yield index, {"error": DIED, "traceback": ""}
                        if waiting:
                            assign(start())
                        continue
                    if kind == "steps":
                        busy[connection] = (index, *content)
                    else:
                        del busy[connection]
                        assign(connection)
                        yield index, content
                for state in list(busy.values()):
                    report(*state)
        finally:
            for worker in workers.values():
                worker.kill()
                worker.join()


def make_engine(config: EngineConfig) -> Engine:
    """Return the engine of these settings."""
    if config.engine == "ray":
        from kselect.training.ray_engine import RayEngine  # Ray is an extra

        return RayEngine(config)
    if config.engine == "slurm":
        from kselect.training.slurm_engine import SlurmEngine  # submitit is an extra

        return SlurmEngine(config)
    return SerialEngine() if config.processes == 1 else ProcessEngine(config.processes)


def _threads() -> int:
    import torch  # loaded by the runs anyway, and not by who asks for help

    return torch.get_num_threads()


def _work(connection: Connection, function: RunFunction, threads: int) -> None:
    """Compute runs until the connection ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # which a whole group is sent
        signal.signal(number, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)
    try:
        while True:
            settings = connection.recv()
            outcome = outcome_of(function, settings, lambda done, total: connection.send(("steps", (done, total))))
            connection.send(("outcome", outcome))
    except (EOFError, ConnectionError):
        os._exit(0)  # nobody is left to compute for


def outcome_of(function: RunFunction, settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return the results of a run, or its error as `Outcome` has it."""
    try:
        return function(settings, report)
    except Exception as error:  # recorded as the outcome, so that one failed run does not lose the others
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        return {"error": f"{name}{' '.join(str(error).split())}", "traceback": traceback.format_exc()}
