"""The history of a run, as its folder has it: results, and the phases of each episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kselect import io
from kselect.errors import KselectError
from kselect.runs.metrics_file import METRICS

RESULTS = "results.json"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EpisodeHistory:
    """The p phases of one episode, with k kinds of knowledge, and further texts, on offer.

    Attributes:
        task: Name of the task; None where the run has a single episode.
        names: Of what is on offer.
        steps: Training steps of each phase, `[p]`.
        weights: Normalised weights, means over each phase, `[p, k]`.
        preferences: What the agent preferred before sampling, noise or a threshold, `[p, k]`; None where not known.
        rewards: Of each phase, `[p]`, NaN where not measured.
        losses: Loss on the reward split after each phase, `[p]`, NaN where not measured.
        unit: Of the rewards; None where there are none.
        states: What the agent saw before each phase, features by name; empty where it was not recorded.
        reasons: By kind of knowledge that a decision changed, what each feature added to its log-odds, compared with
            the first decision; of each phase, and empty where it is not known.
    """

    task: str | None
    names: tuple[str, ...]
    steps: NDArray[np.int64]
    weights: Floats
    preferences: Floats | None
    rewards: Floats
    losses: Floats
    unit: str | None = None
    states: Sequence[Mapping[str, float]] = ()
    reasons: Sequence[Mapping[str, Mapping[str, float]]] = ()

    @property
    def ends(self) -> NDArray[np.int64]:
        """Training steps after each phase, `[p]`."""
        return np.cumsum(self.steps)

    @property
    def total_reward(self) -> float | None:
        """Sum of the rewards; None where none was measured."""
        return None if np.isnan(self.rewards).all() else float(np.nansum(self.rewards))


@dataclass(frozen=True)
class RunHistory:
    """A run that selected knowledge.

    Attributes:
        path: The run folder.
        results: Content of results.json; empty while the run is unfinished.
        episodes: In their order, all with the same names.
    """

    path: Path
    results: Mapping[str, Any]
    episodes: list[EpisodeHistory]

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of knowledge on offer, and further texts."""
        return self.episodes[0].names


def is_run(path: Path) -> bool:
    """Return whether a folder is that of a run with phases, finished or not."""
    return (path / METRICS).is_file() or (path / "config.yaml").is_file()


def read_run(path: Path) -> RunHistory:
    """Read the run folder of a distillation, or of a policy's training.

    A last line of metrics.jsonl that is incomplete is left out: its run is under way, or was stopped.

    Raises:
        KselectError: no phases, those of a run that selected nothing, or damaged files.
    """
    results = read_results(path)
    if results and "agent" not in results:
        raise KselectError(f"{path} holds no run of an agent: give the run of a student or a policy.")
    by_episode: dict[int, list[dict[str, Any]]] = {}
    for number, line in enumerate(_whole_lines(path / METRICS), 1):
        try:
            record = _from_flat(io.from_json(line))
        except (ValueError, TypeError, AttributeError):
            raise KselectError(f"{path / METRICS}:{number} is no record of a phase: repeat the run.") from None
        by_episode.setdefault(record["episode"], []).append(record)
    if not by_episode:
        raise KselectError(f"{path} has no history, as {METRICS} is missing or empty: give a run that took a phase.")
    if not any(record["weights"] for records in by_episode.values() for record in records):
        raise KselectError(f"{path} had one kind of knowledge on offer, and so nothing to select: give another run.")
    episodes = [read_episode(records, path / METRICS) for _, records in sorted(by_episode.items())]
    if len({episode.names for episode in episodes}) > 1:
        raise KselectError(f"{path / METRICS} has episodes with other knowledge on offer: repeat the run.")
    return RunHistory(path, results, episodes)


def read_episode(records: Sequence[Mapping[str, Any]], source: Path) -> EpisodeHistory:
    """Return an episode from its records.

    Args:
        records: Of each phase, with `steps` and `weights` by name, and where known `preference` by name, `reward`,
            `reward_loss`, `reward_unit`, `task`, `state` and `changes` (see `EpisodeHistory`).
        source: The file that they are from, for errors.

    Raises:
        KselectError: records that are not of phases of one episode.
    """
    try:
        names = tuple(records[0]["weights"])
        weights = np.array([[record["weights"][name] for name in names] for record in records], dtype=np.float64)
        steps = np.array([record["steps"] for record in records], dtype=np.int64)
        preferences = None
        if all(record.get("preference") for record in records):
            rows = [[record["preference"][name] for name in names] for record in records]
            preferences = np.array(rows, dtype=np.float64)
        rewards, losses = (
            np.array([record.get(key) for record in records], dtype=np.float64) for key in ("reward", "reward_loss")
        )
        states = [_numbers(record.get("state") or {}) for record in records]
        reasons = [
            {name: _numbers(change.get("features") or {}) for name, change in (record.get("changes") or {}).items()}
            for record in records
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        raise KselectError(f"{source} has records that are not of phases: repeat the run.") from None
    if not names or (steps < 1).any() or not np.isfinite(weights).all():
        raise KselectError(f"{source} has phases without steps or weights: repeat the run.")
    task, unit = (records[-1].get(key) for key in ("task", "reward_unit"))
    return EpisodeHistory(task, names, steps, weights, preferences, rewards, losses, unit, states, reasons)


def read_results(path: Path) -> dict[str, Any]:
    """Return the content of a run folder's results.json; nothing where the run is unfinished."""
    file = path / RESULTS
    if not file.exists():
        return {}
    try:
        results = io.read_json(file)
    except (OSError, ValueError) as error:
        raise KselectError(f"{file} is damaged ({error}): repeat the run.") from None
    if not isinstance(results, dict):
        raise KselectError(f"{file} does not hold the results of a run: repeat the run.")
    return results


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _from_flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of metrics.jsonl, whose names have a group in front, as a record of `read_episode`."""
    groups: dict[str, dict[str, Any]] = {"selection": {}, "preference": {}, "state": {}}
    for tag, value in record.items():
        group, _, name = tag.partition("/")
        if group in groups and name:
            groups[group][name] = value
    return {
        "episode": int(record.get("episode", 0)),
        "task": record.get("task"),
        "steps": record.get("steps"),
        "weights": groups["selection"],
        "preference": groups["preference"],
        "state": groups["state"],
        "changes": record.get("changes"),
        "reward": record.get("reward/phase"),
        "reward_loss": record.get("reward/loss"),
        "reward_unit": record.get("reward_unit"),
    }
