"""What the runs of several agents show: means, paired differences from a baseline, and costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kselect.config.comparison import CONSTANT, TEACHER
from kselect.errors import unknown
from kselect.io import write_figure
from kselect.stats import Estimate, estimate, holm, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = ("task", "label", "seed", "settings")
"""What identifies a run in the ledger of a comparison."""
NUMBERS = {"metrics": ("score",), "constant": ("score",)}
"""What is read of a finished run, see `Ledger.numbers`."""
DECIDING = ("reward", "deciding", "updating")
"""Parts of the cost that an agent adds to training under a fixed selection."""
MEANINGS = (
    "Metrics and differences are in points, mean ± standard deviation over the seeds. Differences are paired by seed, "
    "with their 95 % interval by Student's t; p-values are adjusted for all rows by Holm's method. Time is in seconds "
    "per run, without filling the cache of teacher outputs; deciding is the part of it that an agent adds."
)

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One agent on one task.

    Attributes:
        metrics: Over the seeds, by name; empty where every run failed.
        difference: Of the score from the baseline's under the same seeds; None for the baseline and without such seeds.
        p_value: Of the difference, adjusted for all rows; None where the noise is unknown.
        seconds: Of a run; None where every run failed.
        relative_cost: Mean seconds, relative to the baseline's; None where either is unknown.
        deciding: Mean seconds of a run that the agent adds.
        errors: Messages of failed runs, by seed.
    """

    label: str
    metrics: dict[str, Estimate]
    difference: Estimate | None
    p_value: float | None
    seconds: Estimate | None
    relative_cost: float | None
    deciding: float | None
    errors: dict[int, str]


@dataclass(frozen=True)
class Comparison:
    """Agents on one task.

    Attributes:
        baseline: Label of the agent that the others are compared with.
        examples: Number of examples of dev; None where every run failed.
        references: Metrics of the constant prediction and, where it was evaluated, of the teacher, by label.
    """

    task: str
    metrics: list[str]
    baseline: str
    examples: int | None
    references: dict[str, Mapping[str, float]]
    rows: list[Row]


def compare(entries: Iterable[Entry], baseline: str | None = None) -> list[Comparison]:
    """Compare the runs of a ledger, task by task.

    Args:
        entries: See `KEY` and `kselect.training.cells.run_distillation`; failed ones have an `error`.
        baseline: Label of the agent that the others are compared with; the first by default.
    """
    entries = list(entries)
    tasks = dict.fromkeys(entry["task"] for entry in entries)
    labels = list(dict.fromkeys(entry["label"] for entry in entries if entry["label"] != TEACHER))
    if baseline is not None and baseline not in labels:
        raise unknown("baseline", baseline, labels)
    baseline = baseline or labels[0]
    found = [_of_task([entry for entry in entries if entry["task"] == task], task, baseline) for task in tasks]
    return _adjusted(found)


def _of_task(entries: Sequence[Entry], task: str, baseline: str) -> Comparison:
    finished = [entry for entry in entries if "error" not in entry]
    runs = [entry for entry in finished if entry["label"] != TEACHER]
    teacher = next((entry["metrics"] for entry in finished if entry["label"] == TEACHER), None)
    metrics, names = _metric_names(runs), list(runs[0]["constant"]) if runs else []
    base = {entry["seed"]: entry for entry in runs if entry["label"] == baseline}
    rows = []
    for label in dict.fromkeys(entry["label"] for entry in entries if entry["label"] != TEACHER):
        of_label = [entry for entry in entries if entry["label"] == label]
        rows.append(_row(label, of_label, names, {} if label == baseline else base, base))
    references = {CONSTANT: finished[0]["constant"]} if finished else {}
    references |= {} if teacher is None else {TEACHER: teacher}
    return Comparison(task, metrics, baseline, finished[0]["examples"] if finished else None, references, rows)


def _row(
    label: str, entries: Sequence[Entry], metrics: Sequence[str], others: Mapping[int, Entry], base: Mapping[int, Entry]
) -> Row:
    runs = {entry["seed"]: entry for entry in entries if "error" not in entry}
    errors = {entry["seed"]: entry["error"] for entry in entries if "error" in entry}
    shared = [seed for seed in runs if seed in others]
    scores, base_scores = ([100 * each[seed]["metrics"]["score"] for seed in shared] for each in (runs, others))
    difference = paired_difference(scores, base_scores) if shared else None
    if not runs:
        return Row(label, {}, None, None, None, None, None, errors)
    seconds = estimate([_total(run) for run in runs.values()])
    cost = seconds.mean / estimate([_total(run) for run in base.values()]).mean if base else None
    deciding = sum(sum(run["seconds"][part] for part in DECIDING) for run in runs.values())
    return Row(
        label=label,
        metrics={name: estimate([100 * run["metrics"][name] for run in runs.values()]) for name in metrics},
        difference=difference,
        p_value=None if difference is None else difference.p_value,
        seconds=seconds,
        relative_cost=cost,
        deciding=deciding / len(runs),
        errors=errors,
    )


def _total(run: Entry) -> float:
    return float(sum(run["seconds"].values()))


def _metric_names(runs: Sequence[Entry]) -> list[str]:
    """Return the metrics, without the score where it is a copy of another rather than a mean of several."""
    if not runs:
        return []
    names = list(runs[0]["constant"])
    others = [name for name in names if name != "score"]
    is_copy = any(all(run["metrics"][name] == run["metrics"]["score"] for run in runs) for name in others)
    return others if is_copy else names


def _adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Adjust the p-values for all rows."""
    tested = [row.p_value for comparison in comparisons for row in comparison.rows if row.p_value is not None]
    adjusted = iter(holm(tested))
    return [
        replace(
            comparison,
            rows=[row if row.p_value is None else replace(row, p_value=next(adjusted)) for row in comparison.rows],
        )
        for comparison in comparisons
    ]


def table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows for people, see `MEANINGS`."""
    names = comparison.metrics
    columns = ["agent", *names, f"score - {comparison.baseline}", "95 % interval", "p", "time", "relative", "deciding"]
    columns.append("seeds")
    rows = [
        [label, *(f"{100 * values[name]:.1f}" if name in values else "" for name in names), *[""] * 7]
        for label, values in comparison.references.items()
    ]
    for row in comparison.rows:
        failures = "; ".join(f"seed {seed} failed: {message}" for seed, message in row.errors.items())
        if row.seconds is None:
            rows.append([row.label, failures, *[""] * (len(columns) - 2)])
            continue
        difference = row.difference
        known = difference is not None and math.isfinite(difference.low)
        rows.append(
            [
                row.label,
                *(_with_sd(row.metrics[name]) for name in names),
                "" if difference is None else f"{difference.mean:+.1f}",
                f"{difference.low:+.1f} to {difference.high:+.1f}" if difference is not None and known else "",
                "" if row.p_value is None else f"{row.p_value:.3f}",
                f"{row.seconds.mean:.1f} s",
                "" if row.relative_cost is None else f"{row.relative_cost:.2f}",
                f"{row.deciding:.1f} s",
                f"{row.seconds.count}" + (f"; {failures}" if failures else ""),
            ]
        )
    return columns, rows


def _with_sd(value: Estimate) -> str:
    return f"{value.mean:.1f}" if value.count == 1 else f"{value.mean:.1f} ± {value.sd:.1f}"


def records(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return a flat record for each row, for machines: the numbers of the table, unrounded; None where unknown."""
    found: list[dict[str, Any]] = []
    for comparison in comparisons:
        about = {"task": comparison.task, "baseline": comparison.baseline}
        for label, values in comparison.references.items():
            found.append({**about, "agent": label, **{name: 100 * values[name] for name in comparison.metrics}})
        for row in comparison.rows:
            record: dict[str, Any] = {**about, "agent": row.label}
            for name in comparison.metrics if row.metrics else ():
                record |= {name: row.metrics[name].mean, f"{name}_sd": _finite(row.metrics[name].sd)}
            if row.difference is not None:
                bounds = {"low": _finite(row.difference.low), "high": _finite(row.difference.high)}
                record |= {"difference": row.difference.mean, **bounds, "p_holm": row.p_value}
            record |= {
                "seconds": None if row.seconds is None else row.seconds.mean,
                "relative_cost": row.relative_cost,
                "deciding": row.deciding,
                "seeds": 0 if row.seconds is None else row.seconds.count,
                "errors": "; ".join(f"{seed}: {message}" for seed, message in row.errors.items()),
            }
            found.append(record)
    return found


def figure(comparisons: Sequence[Comparison]) -> Figure:
    """Return a plot of each agent's difference from the baseline with its 95 % interval, one panel a task."""
    from matplotlib.figure import Figure  # without pyplot, which needs a display

    panels = [[row for row in reversed(comparison.rows) if row.difference is not None] for comparison in comparisons]
    height = 0.8 + 0.35 * max(1, *map(len, panels))
    plot = Figure(figsize=(1.6 + 4 * len(panels), height), layout="constrained")
    for axes, comparison, rows in zip(
        plot.subplots(1, len(panels), squeeze=False)[0], comparisons, panels, strict=True
    ):
        differences = [row.difference for row in rows if row.difference is not None]
        margins = [each.margin if math.isfinite(each.margin) else math.nan for each in differences]  # none is drawn
        axes.errorbar(
            [each.mean for each in differences], [row.label for row in rows], xerr=margins, fmt="o", capsize=3
        )
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title(comparison.task)
        axes.set_xlabel(f"score - {comparison.baseline}, points")
    return plot


def save_figure(comparisons: Sequence[Comparison], path: Path) -> None:
    """Draw `figure` to a file whose suffix names the format."""
    write_figure(path, figure(comparisons))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
