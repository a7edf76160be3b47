"""The seed of a run, and its folder."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.validation import Config, require, setting
from kselect.config.values import shorten
from kselect.errors import unknown


@dataclass(frozen=True)
class DemoConfig(Config):
    """Run: the seed, and where results go."""

    seed: int = 0
    """Random seed of the run; the splits have data_seed."""
    runs_dir: str = setting("runs", affects_result=False, may_differ_on_resume=True)
    """Folder that holds the run folders."""

    def validate(self) -> None:
        """Refuse a seed that PyTorch or NumPy does not take."""
        self.require("seed", 0 <= self.seed < 2**31, "give 0 or more, below 2147483648")


@dataclass(frozen=True)
class FolderConfig(DemoConfig):
    """Run: the seed, and where results go."""

    run_name: str | None = setting(None, affects_result=False, may_differ_on_resume=True, may_differ_on_extension=True)
    """Name of this run's folder; <task>-<agent>-<seed>-<time> by default."""
    fresh: bool = setting(False, affects_result=False, may_differ_on_resume=True, may_differ_on_extension=True)
    """Start over: archive the unfinished run that would be resumed, or the content of the folder run_name."""

    def validate(self) -> None:
        """Refuse a name that is a path."""
        super().validate()
        _check_run_name(self.run_name)


TRACKERS = {
    "aim": "aim",
    "clearml": "clearml",
    "comet_ml": "comet_ml",
    "dvclive": "dvclive",
    "mlflow": "mlflow",
    "swanlab": "swanlab",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""Trackers of experiments next to TensorBoard, and the package that each needs."""


@dataclass(frozen=True)
class RunConfig(FolderConfig):
    """Run: the seed, and where results go."""

    report_to: list[str] = setting(
        default_factory=list, affects_result=False, may_differ_on_resume=True, may_differ_on_extension=True
    )
    """Trackers that get the numbers in addition to TensorBoard: aim, clearml, comet_ml, dvclive, mlflow, swanlab,
    trackio, wandb; each needs its package."""

    checkpoint_every: float = setting(30.0, affects_result=False, may_differ_on_resume=True)
    """Seconds from one checkpoint to the next, each at the end of a phase; 0 makes one after every phase."""

    def validate(self) -> None:
        """Refuse a time below 0, and an unknown tracker, or one that is named twice."""
        super().validate()
        for name in self.report_to:
            if name not in TRACKERS:
                error = unknown("tracker", name, TRACKERS)
                error.setting = "report_to"
                raise error
        twice = len(set(self.report_to)) < len(self.report_to)
        require(not twice, f"report_to names one twice: {', '.join(self.report_to)}.", "report_to")
        self.require("checkpoint_every", self.checkpoint_every >= 0, "give seconds, or 0 for every phase")


@dataclass(frozen=True)
class StudyConfig(Config):
    """Run: the seeds, and where results go."""

    seeds: list[int] = setting(default_factory=lambda: [0, 1, 2], may_differ_on_extension=True)
    """Random seeds, but for the splits; every run is repeated with each seed."""
    runs_dir: str = setting("runs", affects_result=False, may_differ_on_resume=True)
    """Folder that holds the run folders."""
    run_name: str | None = setting(None, affects_result=False, may_differ_on_resume=True, may_differ_on_extension=True)
    """Name of the folder of all these runs; <task>-<command>-<seeds>-<time> by default."""
    fresh: bool = setting(False, affects_result=False, may_differ_on_resume=True, may_differ_on_extension=True)
    """Start over: archive the unfinished folder that would be resumed, or the content of the folder run_name."""

    def validate(self) -> None:
        """Refuse no seeds, equal ones, and a name that is a path."""
        seeds = ", ".join(map(str, self.seeds))
        require(len(self.seeds) > 0, "seeds is empty: give one, or better several, such as 0,1,2.", "seeds")
        require(len(set(self.seeds)) == len(self.seeds), f"seeds names one twice: {seeds}.", "seeds")
        for seed in self.seeds:
            require(0 <= seed < 2**31, f"seed is {seed}: give 0 or more, below 2147483648.", "seeds")
        _check_run_name(self.run_name)


def _check_run_name(name: str | None) -> None:
    plain = name is None or (
        name.isprintable() and not set(name) & set("/\\") and name not in ("", ".", "..") and len(name.encode()) < 200
    )
    require(
        plain,
        f"run_name is '{shorten(name or '')}': give a plain name, and the folder above it as runs_dir.",
        "run_name",
    )
