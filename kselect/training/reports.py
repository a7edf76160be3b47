"""What TensorBoard shows of an episode once it is over: heat maps, totals, and the decisions with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from kselect.envs.rendering import heat_map_image
from kselect.runs.curves import SELECTION, EpisodeReport
from kselect.training.decisions import main_reasons
from kselect.training.episode import Episode, Record

NOTE = (
    "Each feature of the state adds to, or takes from, the log-odds of a kind of knowledge, compared with the first "
    "decision of the run (integrated gradients); the largest are shown. A policy that learns in the meantime changes "
    "its preferences by its updates, too, and one that explores decides against them by chance."
)


def report_episode(episode: Episode) -> EpisodeReport:
    """Return what is shown of an episode that is over."""
    history = episode.history
    return EpisodeReport(
        step=history[-1]["step"],
        scalars={"return": episode.total_reward, **_shares(history)},
        images=heat_maps(history),
        texts={"decisions": text} if (text := decision_table(history)) else {},
        number=history[-1].get("episode"),
        task=episode.task,
    )


def heat_maps(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return images of the selection and, where the agent had any, of its preferences; none of a single kind."""
    names, total = list(history[0]["weights"]), history[-1]["step"]
    if len(names) == 1:
        return {}
    images = {}
    for tag, key in ((SELECTION, "weights"), ("heat_map/preference", "preference")):
        if all(key in record for record in history):
            phases = [(record["steps"], list(record[key].values())) for record in history]
            title = "selection" if key == "weights" else key
            images[tag] = heat_map_image(names, phases, total, title)
    return images


def decision_table(history: Sequence[Record]) -> str | None:
    """Return a Markdown table of the changes of the selection, see `describe_decision`; None if there were none."""
    rows = [
        _row(record, kind, change, before)
        for before, record in pairwise(history)
        for kind, change in record.get("changes", {}).items()
    ]
    if not rows:
        return None
    header = ["step", "knowledge", "decision", "preference", "because of"]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join([*lines, "", NOTE])


def _row(record: Record, kind: str, change: Mapping[str, Any], before: Record) -> list[str]:
    preferences = [each["preference"][kind] for each in (before, record) if "preference" in each]
    by_chance = bool(preferences) and (preferences[-1] > 0.5) != (change["after"] > 0.5)
    return [
        str(record["step"] - record["steps"]),
        f"`{kind}`",
        _verb(change["before"], change["after"]) + by_chance * " by chance",
        " → ".join(f"{preference:.2f}" for preference in preferences),
        "<br>".join(main_reasons(change.get("features", {}))),
    ]


def _verb(before: float, after: float) -> str:
    if after == 0:
        return "dropped"
    if before == 0:
        return "taken up" if after == 1 else f"taken up, {after:.2f}"
    return f"{'raised' if after > before else 'lowered'}, {before:.2f} → {after:.2f}"


def _shares(history: Sequence[Record]) -> dict[str, float]:
    """Return each kind's mean weight over the training steps of an episode."""
    total = sum(record["steps"] for record in history)
    return {
        f"share_{name}": sum(record["steps"] * record["weights"][name] for record in history) / total
        for name in history[0]["weights"]
    }
