"""Where runs are computed, and what each of them reserves there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from kselect.config.validation import Config, require, setting


@dataclass(frozen=True)
class ResourceConfig(Config):
    """Resources: where runs are computed, and what each of them reserves."""

    engine: Literal["local", "ray", "slurm"] = setting("local", affects_result=False, may_differ_on_resume=True)
    """local computes the runs in processes of this machine; ray on the Ray cluster that RAY_ADDRESS names, or without
    it on this machine; slurm as jobs of SLURM. ray needs pip install 'kselect[ray]', slurm 'kselect[slurm]'."""
    cpus_per_run: int = setting(1, affects_result=False, may_differ_on_resume=True)
    """On a cluster, the CPU cores that each run reserves, and its threads."""
    gpus_per_run: float = setting(0.0, affects_result=False, may_differ_on_resume=True)
    """On a cluster, the GPUs that each run reserves; with ray, 0.5 puts two runs on each GPU."""

    def validate(self) -> None:
        """Refuse numbers out of range, and what only a cluster reserves."""
        self.require("cpus_per_run", self.cpus_per_run > 0, "give a positive number")
        gpus = self.gpus_per_run
        whole = gpus >= 0 and float(gpus).is_integer()
        shared = "a share of one GPU, such as 0.5, or " if self.engine != "slurm" else ""
        is_valid = whole or (bool(shared) and 0 < gpus < 1)
        self.require("gpus_per_run", is_valid, f"give {shared}a whole number of GPUs")
        clusters = [engine for engine in get_args(get_type_hints(type(self))["engine"]) if engine != "local"]
        self._require_engine("cpus_per_run", *clusters)
        self._require_engine("gpus_per_run", *clusters)

    def _require_engine(self, name: str, *engines: str) -> None:
        """Refuse a setting that is given for an engine without it."""
        given = getattr(self, name) != getattr(type(self), name)
        known = " or ".join(engines)
        require(self.engine in engines or not given, f"{name} is for the engine {known}: leave it out.", name)


@dataclass(frozen=True)
class EpisodeConfig(ResourceConfig):
    """Resources: where parallel episodes are computed, and what each of them reserves."""

    engine: Literal["local", "ray"] = setting("local", affects_result=False, may_differ_on_resume=True)
    """local computes parallel episodes in processes of this machine; ray on the Ray cluster that RAY_ADDRESS names, or
    without it on this machine. ray needs pip install 'kselect[ray]'."""


@dataclass(frozen=True)
class EngineConfig(ResourceConfig):
    """Engine: where the runs of a study are computed, how many at a time, and what each of them reserves."""

    processes: int = setting(1, affects_result=False, may_differ_on_resume=True)
    """Runs computed in parallel, each in its own process; on a cluster, those at a time at most."""
    minutes_per_run: int = setting(60, affects_result=False, may_differ_on_resume=True)
    """With slurm, the time limit of a job. A run that takes longer goes back into the queue, and on from its
    checkpoint, up to three times."""

    def validate(self) -> None:
        """Refuse, in addition, numbers out of range, and a time limit without jobs."""
        super().validate()
        self.require("processes", self.processes > 0, "give a positive number")
        enough = "give 3 or more, as a job is stopped before its time is up"
        self.require("minutes_per_run", self.minutes_per_run > 2, enough)
        self._require_engine("minutes_per_run", "slurm")
