"""An engine that computes the runs of a study as jobs of SLURM."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import submitit
import torch
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError
from submitit.helpers import Checkpointable

from kselect.config import EngineConfig
from kselect.errors import KselectError, first_line
from kselect.io import replacing
from kselect.training.engines import DIED, POLL_SECONDS, UNREADABLE, Outcome, Report, RunFunction, outcome_of


class SlurmEngine:
    """Computes each run as a job, submitted by submitit from a machine where `sbatch` works.

    The folder where the study was started must be on a file system that all machines share. A run whose time is up goes
    back into the queue, and on from its checkpoint where it has one. Partition, account and memory are those of
    variables such as `SBATCH_PARTITION`.
    """

    def __init__(self, config: EngineConfig, cluster: str = "slurm") -> None:
        """Plan for so many jobs at a time, with what each reserves; `cluster` is a name of submitit's executors."""
        self.config = config
        self.cluster = cluster

    def run(
        self, function: RunFunction, runs: Sequence[Mapping[str, Any]], report: Callable[[int, int, int], None]
    ) -> Iterator[Outcome]:
        """See `Engine.run`; a job that ends without a result fails its run alone.

        Raises:
            KselectError: SLURM does not take the jobs.
        """
        if not runs:
            return
        waiting = deque(range(len(runs)))
        busy: dict[int, submitit.Job[dict[str, Any]]] = {}
        with TemporaryDirectory(prefix=".slurm-", dir=".", ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary).resolve()
            executor = _executor(self.config, self.cluster, folder)
            try:
                while waiting or busy:
                    while waiting and len(busy) < self.config.processes:
                        index = waiting.popleft()
                        run = _Run(function, dict(runs[index]), folder / f"{index}.steps", self.config.cpus_per_run)
                        busy[index] = _submit(executor, run)
                    time.sleep(POLL_SECONDS)
                    for index in [index for index, job in busy.items() if job.done()]:
                        yield index, _outcome(busy.pop(index))
                    for index in busy:
                        report(index, *_steps(folder / f"{index}.steps"))
            finally:
                for job in busy.values():
                    job.cancel(check=False)


@dataclass(frozen=True)
class _Run(Checkpointable):
    """A run as a job computes it, anew each time that the job comes up again."""

    function: RunFunction
    settings: dict[str, Any]
    steps: Path
    threads: int

    def __call__(self) -> dict[str, Any]:
        torch.set_num_threads(self.threads)
        return outcome_of(self._compute, self.settings, self._report)

    def _compute(self, settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
        try:
            return self.function(settings, report)
        except UncompletedJobError as error:
            raise KselectError(f"{first_line(error)} Give more minutes_per_run.", setting="minutes_per_run") from error

    def _report(self, done: int, total: int) -> None:
        with replacing(self.steps) as (partial,):
            partial.write_text(f"{done} {total}")


def _executor(config: EngineConfig, cluster: str, folder: Path) -> submitit.AutoExecutor:
    try:
        executor = submitit.AutoExecutor(folder, cluster)
    except RuntimeError as error:
        raise KselectError(
            f"SLURM is not here ({first_line(error)}): start this where sbatch and srun work, or leave engine out.",
            setting="engine",
        ) from error
    executor.update_parameters(
        name="kselect",
        timeout_min=config.minutes_per_run,
        cpus_per_task=config.cpus_per_run,
        gpus_per_node=int(config.gpus_per_run) or None,
    )
    return executor


def _submit(executor: submitit.AutoExecutor, run: _Run) -> submitit.Job[dict[str, Any]]:
    try:
        return executor.submit(run)
    except (FailedSubmissionError, UncompletedJobError) as error:
        raise KselectError(
            f"SLURM does not take a job ({first_line(error)}): reserve what it has, or set variables of sbatch such as "
            "SBATCH_PARTITION.",
            setting="engine",
        ) from error


def _steps(path: Path) -> tuple[int, int]:
    """Return the steps that a run has done, and those of the whole run."""
    if not path.exists():
        return 0, 1
    done, total = map(int, path.read_text().split())
    return done, total


def _outcome(job: submitit.Job[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of a run, or why it has none; errors of the run itself are among its results."""
    try:
        return job.result()
    except FailedJobError as error:  # before the run began
        return {"error": UNREADABLE, "traceback": str(error)}
    except UncompletedJobError as error:
        return {"error": f"{DIED}; its job is {job.state}", "traceback": str(error)}
