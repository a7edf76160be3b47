"""The content of results.json, and of the phases logged to TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kselect.config import TEXT_SOURCES, StudentConfig
from kselect.models.parameters import size_of
from kselect.tasks.task import Task
from kselect.training.api import Result
from kselect.training.episode import Episode

COLUMNS = "columns of the data"
"""Stands in results for a teacher without a model."""


def summarise_run(
    result: Result, task: Task, *, seed: int, agent: str | None = None, model: StudentConfig | None = None
) -> dict[str, Any]:
    """Return what results.json says of a distillation: metrics, size, cost account, padding and selection history.

    Without `agent` and `model` it was a teacher's fine-tuning.
    """
    headed = {} if result.student.labels is None else {"head": result.student.head.name}
    decided = {} if agent is None else {"agent": agent}
    distilled = (
        {} if model is None else {"teacher": model.teacher, "layers": model.kept_layers, "student": model.student}
    )
    if model is not None and model.teacher is None:
        distilled["teacher"] = COLUMNS
    return {
        "task": task.name,
        **headed,
        **decided,
        **{key: value for key, value in distilled.items() if value is not None},
        "seed": seed,
        **({"pairs": True} if getattr(task.splits["train"], "text_b", None) is not None else {}),
        "metrics": result.metrics,
        "size": size_of(result.student),
        "examples": result.examples,
        **({"further_examples": result.further_examples} if result.further_examples else {}),
        "constant": constant_metrics(task),
        "reward": result.total_reward if any("reward_loss" in record for record in result.history) else None,
        **_measured(result.history),
        "seconds": sum(result.seconds.values()),
        "cost": result.shares,
        "padding": result.padding,
        **({"truncated": True} if result.truncated else {}),
        "history": [_phase(record) for record in result.history],
    }


def constant_metrics(task: Task) -> dict[str, float]:
    """Return the metrics of the constant prediction, under the same names as a student's."""
    return {
        prefix + name: value
        for split, prefix in task.reported.items()
        for name, value in task.constant_score(split).items()
    }


def _measured(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the standard error of a run's whole reward, what it measures, and its unit; nothing without rewards."""
    last: Mapping[str, Any] = next((record for record in reversed(history) if "reward_loss" in record), {})
    names = {"return_se": "reward_se", "reward_measure": "reward_measure", "reward_unit": "reward_unit"}
    return {name: last[key] for key, name in names.items() if key in last}


def _phase(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a phase in the selection history; a reward that was not measured is None."""
    fields = {key: record[key] for key in ("phase", "step", "steps", "weights")}
    error = {key: record[key] for key in ("reward_se",) if key in record}
    return {**fields, "reward": record["reward"] if "reward_loss" in record else None, **error}


def summarise_policy(episodes: Sequence[Episode], agent: str, seed: int, parallel: int = 1) -> dict[str, Any]:
    """Return rewards, costs and selection histories of the episodes that a policy learned from.

    The metrics are the last reward on each task. Seconds are those of one of the `parallel` streams, on the average.
    """
    tasks = list(dict.fromkeys(episode.task for episode in episodes))
    last = {episode.task: episode.total_reward for episode in episodes}
    parts = episodes[0].seconds
    seconds = {part: sum(episode.seconds[part] for episode in episodes) / parallel for part in parts}
    total = sum(seconds.values())
    return {
        "task": " + ".join(tasks),
        "agent": agent,
        "seed": seed,
        "metrics": {"reward" if len(tasks) == 1 else f"reward/{task}": last[task] for task in tasks},
        "rewards": [episode.total_reward for episode in episodes],
        "reward_errors": [_measured(episode.history).get("reward_se") for episode in episodes],
        "reward_units": [_measured(episode.history).get("reward_unit") for episode in episodes],
        "tasks": [episode.task for episode in episodes],
        "seconds": total,
        "cost": {part: spent / total for part, spent in seconds.items()},
        "history": [
            {"episode": i, **_phase(record)} for i, episode in enumerate(episodes) for record in episode.history
        ],
    }


def phase_record(record: Mapping[str, Any], spent: Mapping[str, float]) -> dict[str, Any]:
    """Flatten a phase's record, see `DistillerCallback.on_phase_end`, to numbers by TensorBoard tag.

    docs/tensorboard.md explains every tag. Of a single kind of knowledge there is no selection. `reward/...` is None
    where no reward was measured. In one of several episodes, `episode_step` counts the training steps of the episode.
    """
    total = sum(spent.values())
    measured = "reward_loss" in record
    flat: dict[str, Any] = {"step": record["step"], "phase": record["phase"], "steps": record["steps"]}
    if "episode" in record:
        flat |= {"episode": record["episode"], "task": record["task"], "episode_step": record["step"]}
    flat |= {f"loss/{name}": value for name, value in record["losses"].items()}
    flat |= {f"relative_loss/{name}": value for name, value in record["relative_losses"].items()}
    if len(record["weights"]) > 1:
        flat |= {f"selection/{name}": value for name, value in record["weights"].items()}
    flat |= {f"preference/{name}": value for name, value in record.get("preference", {}).items()}
    flat |= {f"signal/{name}": value for name, value in record["signals"].items()}
    flat |= {f"state/{name}": value for name, value in record.get("state", {}).items()}
    flat |= {"reward/phase": record["reward"] if measured else None, "reward/se": record.get("reward_se")}
    flat |= {"reward/total": record.get("return"), "reward/total_se": record.get("return_se")}
    flat |= {"reward/value": record.get("reward_value"), "reward/loss": record.get("reward_loss")}
    flat |= {name: record[name] for name in ("reward_measure", "reward_unit") if name in record}
    flat |= {f"agent/{name}": record[name] for name in ("value", "advantage") if name in record}
    flat |= {f"agent/{name}": value for name, value in record.get("agent", {}).items()}
    flat |= {f"cost/{part}": seconds / total for part, seconds in spent.items()}
    return flat | {name: record[name] for name in ("changes",) if name in record}


def describe_selection(weights: Mapping[str, float]) -> str:
    """Name what is selected, heaviest first, with weights where they are not all alike, and then the further texts.

    >>> describe_selection({"gold": 0.5, "logits": 0.5, "hidden": 0.0})
    'gold+logits'
    >>> describe_selection({"gold": 0.2, "logits": 0.8})
    'logits 0.80 + gold 0.20'
    >>> describe_selection({"gold": 0.5, "logits": 0.5, "transfer": 1.0, "augmented": 0.25})
    'gold+logits, with transfer, with augmented 0.25'
    """
    chosen = sorted(((name, weight) for name, weight in weights.items() if weight > 0), key=lambda item: -item[1])
    kinds = [(name, weight) for name, weight in chosen if name not in TEXT_SOURCES]
    texts = [(name, weight) for name, weight in chosen if name in TEXT_SOURCES]
    further = "".join(f", with {name}" if weight == 1 else f", with {name} {weight:.2f}" for name, weight in texts)
    if len({round(weight, 6) for _, weight in kinds}) == 1:
        return "+".join(name for name, _ in kinds) + further
    return " + ".join(f"{name} {weight:.2f}" for name, weight in kinds) + further
