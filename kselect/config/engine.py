"""Where runs are computed, and what each of them reserves there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kselect.config.validation import Config, require, setting


@dataclass(frozen=True)
class ResourceConfig(Config):
    """Resources: where runs are computed, and what each of them reserves."""

    engine: Literal["local", "ray"] = setting("local", affects_result=False, may_differ_on_resume=True)
    """local computes the runs in processes of this machine; ray on the Ray cluster that RAY_ADDRESS names, or without
    it on this machine. ray needs pip install 'kselect[ray]'."""
    cpus_per_run: int = setting(1, affects_result=False, may_differ_on_resume=True)
    """On a cluster, the CPU cores that each run reserves, and its threads."""
    gpus_per_run: float = setting(0.0, affects_result=False, may_differ_on_resume=True)
    """On a cluster, the GPUs that each run reserves; 0.5 puts two runs on each GPU."""

    def validate(self) -> None:
        """Refuse numbers out of range, and what only ray reserves."""
        self.require("cpus_per_run", self.cpus_per_run > 0, "give a positive number")
        gpus = self.gpus_per_run
        shared = 0 <= gpus < 1 or gpus == int(gpus) > 0
        self.require("gpus_per_run", shared, "give a share of one GPU, such as 0.5, or a whole number of GPUs")
        for name in ("cpus_per_run", "gpus_per_run"):
            given = getattr(self, name) != getattr(ResourceConfig, name)
            require(self.engine == "ray" or not given, f"{name} is of the engine ray: leave it out.", name)


@dataclass(frozen=True)
class EngineConfig(ResourceConfig):
    """Engine: where the runs of a study are computed, how many at a time, and what each of them reserves."""

    processes: int = setting(1, affects_result=False, may_differ_on_resume=True)
    """Runs computed in parallel, each in its own process; on a cluster, those at a time at most."""

    def validate(self) -> None:
        """Refuse, in addition, no processes."""
        super().validate()
        self.require("processes", self.processes > 0, "give a positive number")
