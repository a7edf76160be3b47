"""An engine that computes the runs of a study on Ray: on a cluster, or on this machine."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from kselect.config import EngineConfig
from kselect.errors import first_line
from kselect.training.engines import DIED, POLL_SECONDS, UNREADABLE, Outcome, Report, RunFunction, outcome_of
from kselect.training.ray_start import RETRIES, connect, enter

DIED_AGAIN = f"{DIED}, {RETRIES + 1} times: compute fewer runs at a time, or reserve more cores for each"


class RayEngine:
    """Computes runs as Ray tasks, on the cluster that `RAY_ADDRESS` names, or on this machine.

    All machines need this Python environment and one file system, with the folder where the study was started: runs
    read and write the same paths everywhere. A task whose process or machine dies is started again, and goes on from
    the checkpoint of its run where there is one.
    """

    def __init__(self, config: EngineConfig) -> None:
        """Plan for so many runs at a time, with what each of them reserves."""
        self.config = config

    def run(
        self, function: RunFunction, runs: Sequence[Mapping[str, Any]], report: Callable[[int, int, int], None]
    ) -> Iterator[Outcome]:
        """See `Engine.run`; a run whose process dies again and again fails alone.

        Ray is started for the first run, unless it is there already, and ends with this process.

        Raises:
            KselectError: no such cluster, or this machine has less than a run reserves.
        """
        if not runs:
            return
        connect(self.config, self.config.processes)
        # The board needs no core of its own, and starts anew where its machine is lost.
        board = ray.remote(_Board).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        reserved = {"num_cpus": self.config.cpus_per_run, "num_gpus": self.config.gpus_per_run}
        compute = ray.remote(**reserved, max_retries=RETRIES)(_compute)
        place = partial(enter, os.getcwd(), self.config.cpus_per_run)
        waiting = deque(range(len(runs)))
        busy: dict[Any, int] = {}
        steps: dict[int, tuple[int, int]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.config.processes:
                    index = waiting.popleft()
                    busy[compute.remote(place, function, dict(runs[index]), index, board)] = index
                    steps[index] = (0, 1)
                with redirect_stdout(sys.stderr):  # Ray reports dead processes on stdout, which is for results
                    ended, _ = ray.wait(list(busy), timeout=POLL_SECONDS)
                steps |= {index: state for index, state in ray.get(board.latest.remote()).items() if index in steps}
                for index, state in steps.items():
                    report(index, *state)
                for task in ended:
                    index = busy.pop(task)
                    del steps[index]
                    yield index, _result(task)
        finally:
            for task in busy:
                ray.cancel(task, force=True)
            ray.kill(board)


class _Board:
    """An actor where runs leave their steps."""

    def __init__(self) -> None:
        self.steps: dict[int, tuple[int, int]] = {}

    def put(self, index: int, done: int, total: int) -> None:
        self.steps[index] = (done, total)

    def latest(self) -> dict[int, tuple[int, int]]:
        return self.steps


def _compute(
    place: Callable[[], None], function: RunFunction, settings: Mapping[str, Any], index: int, board: Any
) -> dict[str, Any]:
    """Compute a run in a process of Ray, which computes others after it and keeps what they have in common."""

    def compute(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
        place()
        return function(settings, report)

    return outcome_of(compute, settings, partial(board.put.remote, index))


def _result(task: Any) -> dict[str, Any]:
    """Return the results of a run, or why it has none; errors of the run itself are among its results."""
    try:
        return ray.get(task)
    except RayTaskError as error:
        return {"error": f"{UNREADABLE} ({first_line(error.cause)})", "traceback": str(error)}
    except RayError as error:  # of the process or its machine
        return {"error": DIED_AGAIN, "traceback": str(error)}
