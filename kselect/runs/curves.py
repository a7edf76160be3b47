"""What TensorBoard shows of a run folder: the run itself, and sub-runs for its episodes or the runs of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kselect.runs.resume import slug
from kselect.runs.tensorboard import EventLog

UNPLOTTED = (
    *("step", "phase", "steps", "episode", "episode_step", "task"),
    *("reward_measure", "reward_unit", "changes"),
)
OF_DECISIONS = ("agent/value", "agent/advantage")
EPISODES, RUNS = "episodes", "runs"
SELECTION = "heat_map/selection"


@dataclass(frozen=True)
class EpisodeReport:
    """What is shown of an episode once it is over.

    Attributes:
        step: Its training steps.
        scalars: By name; drawn over the number of the episode where there are several.
        images: `[height, width, 3]` of uint8, by tag.
        texts: Markdown by tag.
        number: From 0; None where there is only one.
        task: Name of its task.
    """

    step: int
    scalars: Mapping[str, float] = field(default_factory=dict)
    images: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    number: int | None = None
    task: str = ""


class RunCurves:
    """Writes the events of a run folder, from the start.

    A single episode is drawn by the run itself. Several are sub-runs, `episodes/<number>-<task>`, each on its own axis
    of training steps; the run then has what is learned over all of them, by the training steps of all, and one point
    for each episode.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Write into `folder`, in place of earlier events there; `settings` are those of the run, see `HPARAMS`."""
        self.folder = folder
        self.settings = settings
        self.main = EventLog(folder)
        self.last_step = 0
        self._is_begun = False
        self._episodes: dict[int, EventLog] = {}

    def phase(self, record: Mapping[str, Any]) -> None:
        """Draw a line of metrics.jsonl."""
        self._begin()
        self.last_step = int(record["step"])
        scalars = {tag: float(value) for tag, value in record.items() if tag not in UNPLOTTED and value is not None}
        if "episode" not in record:
            self.main.scalars(scalars, self.last_step)
            return
        updates = {tag: scalars.pop(tag) for tag in list(scalars) if _is_of_update(tag)}
        self.main.scalars(updates, self.last_step)
        self._episode(record["episode"], record["task"]).scalars(scalars, int(record["episode_step"]))

    def episode(self, report: EpisodeReport) -> None:
        """Draw an episode that is over."""
        self._begin()
        log = self.main
        if report.number is not None:
            log = self._episode(report.number, report.task)
            self.main.scalars({f"episode/{name}": value for name, value in report.scalars.items()}, report.number)
            if SELECTION in report.images:
                self.main.image("episode/selection", report.images[SELECTION], report.number)
        for tag, image in report.images.items():
            log.image(tag, image, report.step)
        for tag, text in report.texts.items():
            log.text(tag, text, report.step)
        if report.number is not None:
            self._episodes.pop(report.number).close()

    def run(
        self,
        name: str,
        settings: Mapping[str, Any],
        metrics: Mapping[str, float],
        phases: Sequence[Mapping[str, Any]] = (),
        images: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Draw a finished run of a study as a sub-run.

        Args:
            name: Of its folder.
            settings: Where they differ from those of the study.
            metrics: Its results.
            phases: `step` and numbers by tag, of each phase.
            images: `[height, width, 3]` of uint8, by tag.
        """
        log = EventLog(self.folder / RUNS / slug(name))
        log.begin({**self.settings, **settings})
        for record in phases:
            log.scalars({tag: value for tag, value in record.items() if tag not in UNPLOTTED}, record["step"])
        for tag, image in (images or {}).items():
            log.image(tag, image, phases[-1]["step"])
        log.scalars(_tagged(metrics), phases[-1]["step"] if phases else 0)
        log.end()
        log.close()

    def end(self, metrics: Mapping[str, float]) -> None:
        """Draw the results of the run."""
        self.main.scalars(_tagged(metrics), self.last_step)
        if self._is_begun:
            self.main.end()

    def close(self) -> None:
        """Write what is pending, and close the files."""
        for log in (self.main, *self._episodes.values()):
            log.close()

    def _begin(self) -> None:
        """Give a run that trains a row among the hyper-parameters, and its charts."""
        if not self._is_begun:
            self.main.begin(self.settings)
            self._is_begun = True

    def _episode(self, number: int, task: str) -> EventLog:
        if number not in self._episodes:
            self._episodes[number] = EventLog(self.folder / EPISODES / f"{number:03d}-{slug(task)}")
        return self._episodes[number]


def _tagged(metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"result/{name}": float(value) for name, value in metrics.items()}


def _is_of_update(tag: str) -> bool:
    """Return whether a tag is a figure of an agent's update, rather than of a phase."""
    return tag.startswith("agent/") and tag not in OF_DECISIONS
